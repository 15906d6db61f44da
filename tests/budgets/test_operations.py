"""What each verb asks of the store.  A request is what a bucket charges and waits for: these numbers are a promise."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelvault.errors import AlreadyExists, NotFound
from modelvault.stores.memory import MemoryStore
from modelvault.stores.port import Store
from modelvault.stores.wrappers import Recording, Wrapper
from modelvault.vault import Vault

SMALL, LARGE = 100, 140_000
"""Bytes of a file that is kept in the manifest, and of one that is a blob of its own."""


class Remote(Wrapper):
    url = "s3://bucket"


@pytest.fixture
def store() -> MemoryStore:
    """A vault: 1.0.0, 1.1.0, 1.2.0 of `m` are small, `prod` has been at each; `wide:1.0.0` has 100 blobs."""
    made = MemoryStore()
    vault = Vault(made)
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        vault.publish("m", number, version=number)
        vault.promote("m@prod", number, reason="x")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of so many files of random bytes."""

    def made(count: int, size: int = LARGE) -> Path:
        root = tmp_path / os.urandom(8).hex()
        root.mkdir()
        for number in range(count):
            (root / f"{number:03}").write_bytes(os.urandom(size))
        return root

    return made


def asked(store: Store, verb: Callable[[Vault], object], **options: Any) -> dict[str, int]:
    """The operations of `verb` in a new vault object."""
    return counted(Vault(recording := Recording(store), **options), recording, verb)


def asked_again(store: Store, verb: Callable[[Vault], object], **options: Any) -> dict[str, int]:
    """The operations of `verb` where it has been done before by the same vault object."""
    vault = Vault(recording := Recording(store), **options)
    verb(vault)
    return counted(vault, recording, verb)


def counted(vault: Vault, recording: Recording, verb: Callable[[Vault], object]) -> dict[str, int]:
    recording.operations.clear()
    verb(vault)
    return dict(recording.counts)


# --- publish

LOOKS = {"list": 4, "read": 3}
"""Numbers twice, aliases, the newest move of the only one; the newest claim, that move, the root."""


def test_the_first_publish_makes_the_vault_and_takes_one_create_for_a_small_model():
    assert asked(MemoryStore(), lambda vault: vault.publish("m", 1)) == {"read": 1, "list": 2, "create": 2}


def test_a_small_model_is_one_create(store):
    assert asked(store, lambda vault: vault.publish("m", 1, bump="minor")) == {"read": 1, "list": 1, "create": 1}
    assert asked(store, lambda vault: vault.publish("m", 1, version="3.0.0")) == {"read": 1, "create": 1}


def test_a_vault_that_has_published_does_not_look_at_the_root_again(store):
    def twice(vault: Vault) -> None:
        vault.publish("m", os.urandom(8), bump="minor")

    assert asked_again(store, twice) == {"list": 1, "create": 1}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_n_large_files_are_n_creates_and_one_more(count, store, folder):
    files = folder(count)
    assert asked(store, lambda vault: vault.publish("m", files, bump="minor")) == {
        "read": 1,
        "list": 1,
        "create": count + 1,
    }


def test_from_a_mebibyte_on_it_is_looked_what_the_vault_has_already(store, folder):
    files = folder(40)
    assert asked(store, lambda vault: vault.publish("m", files, bump="minor")) == LOOKS | {"create": 41}


@pytest.mark.parametrize("count", [1, 2, 40])
def test_any_number_of_small_files_is_one_create_and_one_more(count, store, folder):
    files = folder(count, 20_000)
    found = asked(store, lambda vault: vault.publish("m", files, bump="minor"))
    assert found == {"read": 1, "list": 1, "create": 2}


def test_what_is_large_is_shared_with_the_newest_version_and_what_the_aliases_point_to(store, folder):
    Vault(store).publish("m", files := folder(120), bump="minor")
    found = asked(store, lambda vault: vault.publish("m", files, bump="minor"))
    looks = {"list": 4 + 120, "read": 3}  # numbers twice, aliases, the newest move; the newest claim; the root
    assert found == {"create": 2, "fetch": 1} | looks


def test_where_the_manifest_is_large_it_is_one_create_more(store, folder):
    files = folder(100)
    assert asked(store, lambda vault: vault.publish("m", files, bump="minor")) == LOOKS | {"create": 102}


def test_a_number_that_is_taken_costs_one_read_before_anything_is_uploaded(store, folder):
    def refused(vault: Vault) -> None:
        with pytest.raises(AlreadyExists):
            vault.publish("m", folder(5), version="1.0.0")

    assert asked(store, refused) == {"read": 2}


def test_a_number_that_is_free_costs_one_read_more(store, folder):
    assert asked(store, lambda vault: vault.publish("m", folder(5), version="9.0.0")) == {"read": 2, "create": 6}
    assert asked(store, lambda vault: vault.publish("n", folder(5), version="9.0.0")) == {"read": 2, "create": 6}


def test_equal_content_under_the_same_number_is_one_create_that_finds_it_there(store):
    assert asked(store, lambda vault: vault.publish("m", "1.0.0", version="1.0.0")) == {"read": 2, "create": 1}


def test_a_file_that_is_there_already_costs_a_look_at_its_size(store, folder):
    files = folder(5)
    Vault(store).publish("m", files, bump="minor")
    assert asked(store, lambda vault: vault.publish("m", files, bump="minor")) == {"read": 1, "list": 6, "create": 6}


# --- move


def test_a_promotion_is_at_most_three_lists_two_reads_and_a_create(store):
    """A list of the moves, one of the marks on what is proposed, and one of the policies."""
    promote = lambda vault: vault.promote("m@prod", "1.0.0", reason="x")  # noqa: E731
    assert asked(store, lambda vault: vault.promote("m@new", "1.0.0", reason="x")) == {
        "read": 1,
        "list": 3,
        "create": 1,
    }
    assert asked(store, promote) == {"read": 2, "list": 3, "create": 1}
    assert asked(store, promote) == {"read": 2, "list": 3}  # it is there already
    turn = iter(["1.1.0", "1.2.0"])
    move = lambda vault: vault.promote("m@prod", next(turn), reason="x")  # noqa: E731
    assert asked_again(store, move) == {
        "list": 3,
        "read": 2,
        "create": 1,
    }  # the claim, and what is built on still stands there
    gated = lambda vault: vault.promote("m@prod", "1.1.0", reason="x", expect="1.2.0", gates=[lambda _: True])  # noqa: E731
    assert asked(store, gated) == {"read": 2, "list": 3, "create": 1}


def test_a_rollback_looks_at_the_two_moves_the_notes_the_marks_and_the_claim(store):
    assert asked(store, lambda vault: vault.rollback("m@prod", reason="x")) == {"list": 3, "read": 3, "create": 1}


def test_a_rollback_proves_each_blob_with_one_fetch(store, folder):
    vault = Vault(store)
    vault.publish("m", folder(7), version="2.0.0")
    vault.promote("m@prod", "2.0.0", reason="x")
    vault.promote("m@prod", "1.0.0", reason="x")
    found = asked(store, lambda vault: vault.rollback("m@prod", reason="x"))
    assert found == {"list": 3, "read": 3, "fetch": 7, "create": 1}


def test_a_note_is_a_list_and_a_create_and_the_reads_of_what_it_follows(store):
    note = lambda vault: vault.note("m:1.0.0", "x")  # noqa: E731
    assert asked(store, note) == {"read": 1, "list": 1, "create": 1}
    assert asked(store, note) == {"read": 2, "list": 1, "create": 1}
    assert asked_again(store, note) == {"list": 1, "create": 1}
    assert asked(store, lambda vault: vault.yank("m@prod", reason="x")) == {"list": 2, "read": 1, "create": 1}


# --- load

REFS = {
    # ref: cold, and again in the same vault object
    "m@prod": ({"list": 1, "read": 1}, {"read": 1}),
    "m@prod~1": ({"list": 1, "read": 2}, {"read": 1}),
    "m@prod~2": ({"list": 1, "read": 3}, {"read": 1}),
    "m@prod@{2999-01-01}": ({"list": 1, "read": 1}, {"read": 1}),
    "m:1.0.0": ({"read": 1}, {}),
    "m:*": ({"list": 3, "read": 1}, {"list": 3}),
    "m:~1.1": ({"list": 3, "read": 1}, {"list": 3}),
    "m#DIGEST": ({"list": 1, "read": 3}, {"list": 1}),
}


@pytest.mark.parametrize(("ref", "cold", "warm"), [(ref, *counts) for ref, counts in REFS.items()], ids=REFS)
def test_a_small_model_is_loaded_with_no_request_but_those_of_its_ref(ref, cold, warm, store):
    ref = ref.replace("DIGEST", Vault(store).version("m:1.0.0").digest[7:20])
    for verb in (lambda vault: vault.load(ref), lambda vault: vault.version(ref)):
        claim = {"read": 1} if verb.__code__.co_names == ("version",) and "@" in ref else {}
        assert asked(store, verb) == {name: cold.get(name, 0) + claim.get(name, 0) for name in cold | claim}
        assert asked_again(store, verb) == warm


def test_a_large_model_is_one_fetch_for_each_blob_and_one_for_a_large_manifest(store, folder, tmp_path):
    vault = Vault(store)
    vault.publish("m", folder(5), version="2.0.0")
    vault.publish("m", folder(100), version="2.1.0")
    assert asked(store, lambda vault: vault.load("m:2.0.0"), cache=tmp_path / "1") == {"read": 1, "fetch": 5}
    assert asked(store, lambda vault: vault.load("m:2.1.0"), cache=tmp_path / "2") == {"read": 1, "fetch": 101}


def test_with_a_cache_the_second_process_asks_for_no_blob_and_no_claim(store, folder, tmp_path):
    far, cache = Remote(store), tmp_path / "cache"
    vault = Vault(store)
    vault.publish("m", folder(5), version="2.0.0")
    vault.publish("m", folder(100), version="2.1.0")
    for number, blobs in (("2.0.0", 5), ("2.1.0", 101)):
        vault.promote("m@prod", number, reason="x")
        load_alias, load_pinned = (lambda vault: vault.load("m@prod")), (lambda vault: vault.load(f"m:{number}"))  # noqa: B023
        assert asked(far, load_alias, cache=cache) == {"list": 1, "read": 1, "fetch": blobs}
        assert asked(far, load_alias, cache=cache) == {"list": 1, "read": 1}
        assert asked_again(far, load_alias, cache=cache) == {"read": 1}
        assert asked(far, load_pinned, cache=cache) == {"read": 1}
        assert asked(far, load_pinned, cache=cache) == {}
        assert asked_again(far, load_pinned, cache=cache) == {}
        assert asked(far, lambda vault: vault.version(f"m:{number}"), cache=cache) == {}  # noqa: B023


def test_a_part_of_the_files_is_a_part_of_the_fetches(store, folder, tmp_path):
    Vault(store).publish("m", folder(5), version="2.0.0")
    assert asked(store, lambda vault: vault.fetch("m:2.0.0", tmp_path / "out", only=["003"])) == {"read": 1, "fetch": 1}


# --- look


def test_listings_are_one_list_and_a_read_for_each_record(store):
    assert asked(store, lambda vault: vault.models()) == {"list": 1}
    assert asked(store, lambda vault: vault.versions("m")) == {"list": 1, "read": 3}
    assert asked(store, lambda vault: vault.aliases("m")) == {"list": 2, "read": 1}
    assert asked(store, lambda vault: vault.history("m@prod")) == {"list": 1, "read": 3}
    assert asked(store, lambda vault: vault.notes("m:1.0.0")) == {"read": 1, "list": 2}  # those on its content, too
    assert asked(store, lambda vault: vault.diff("m:1.0.0", "m:1.1.0")) == {"list": 4, "read": 2}  # the notes, too


def test_versions_are_compared_and_found_with_one_list_for_each_model(store):
    assert asked(store, lambda vault: vault.compare("m")) == {"list": 3, "read": 4}
    assert asked(store, lambda vault: vault.card("m:1.0.0")) == {"list": 2, "read": 1}
    assert asked(store, lambda vault: vault.find("size")) == {"list": 2, "read": 4}
    assert asked(store, lambda vault: vault.find("model == 'm' and size > 0")) == {"list": 1, "read": 4}
    assert asked(store, lambda vault: vault.find("model == 'm' and alias == 'prod'")) == {"list": 3, "read": 5}


def test_to_say_what_there_is_instead_costs_a_listing_or_two(store):
    def missing(ref: str) -> Callable[[Vault], None]:
        def verb(vault: Vault) -> None:
            with pytest.raises(NotFound):
                vault.load(ref)

        return verb

    assert asked(store, missing("m:9.0.0")) == {"read": 1, "list": 1}
    assert asked(store, missing("q:9.0.0")) == {"read": 1, "list": 2}
    assert asked(store, missing("m@nope"))["list"] <= 3


def test_to_open_a_vault_asks_for_nothing(store, tmp_path):
    assert asked(Remote(store), repr, cache=tmp_path / "cache") == {}
