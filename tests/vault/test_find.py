"""Search: what expressions mean, and an index that is filled once, thrown away at will, and never believed."""

import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.version import Version as Release
from semver import Version as Semver

from modelvault import layout
from modelvault.canonical import digest_of
from modelvault.errors import Corrupt, InvalidInput
from modelvault.search import parsed
from modelvault.search.values import natural, precedence
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.stores.port import Key
from modelvault.stores.wrappers import Recording
from modelvault.vault import Vault
from modelvault.wire import Claim, Target, record, seal, write_manifest


@pytest.fixture
def vault():
    return filled(Vault(MemoryStore()))


def filled(vault):
    vault.publish(
        "fraud",
        1,
        metrics={"auc": 0.9, "p99 ms": 5},
        params={"depth": 3, "model": {"eta": 0.1, "on": True}},
        notes="First.",
    )
    vault.publish(
        "fraud", 2, version="1.9.0", metrics={"auc": 0.92}, params={"depth": "3", "columns": ["a", "b"]}, actor="ann"
    )
    vault.publish("fraud", 3, version="1.10.0-rc.1", metrics={"auc": 0.95}, notes="New shops.")
    vault.publish("price", 4, metrics={"rmse": 1e-9}, notes='it\'s "odd"')
    vault.promote("fraud@prod", "1.9.0", reason="r")
    vault.promote("fraud@next", "1.10.0-rc.1", reason="r")
    return vault


def refs(found):
    return [one.ref.removeprefix("fraud:") for one in found]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("metrics.auc > 0.9", ["1.10.0-rc.1", "1.9.0"]),
        ("0.9 < metrics.auc", ["1.10.0-rc.1", "1.9.0"]),
        ("metrics.auc > 0.9 and alias == 'prod'", ["1.9.0"]),
        ("alias", ["1.10.0-rc.1", "1.9.0"]),
        ("alias != 'prod' and model == 'fraud'", ["1.10.0-rc.1", "1.0.0"]),
        ("alias in ('prod', 'next')", ["1.10.0-rc.1", "1.9.0"]),
        ("alias not in ('prod', 'next')", ["1.0.0", "price:1.0.0"]),
        ('metrics["p99 ms"] <= 5', ["1.0.0"]),
        ("metrics.rmse == 1e-9", ["price:1.0.0"]),
        ("metrics.auc", ["1.10.0-rc.1", "1.9.0", "1.0.0"]),
        ("not metrics.auc", ["price:1.0.0"]),
        ("params.depth == 3", ["1.0.0"]),
        ("params.depth == '3'", ["1.9.0"]),
        ("params.depth > 2", ["1.0.0"]),
        ("params.model.eta < 1", ["1.0.0"]),
        ("params.model.on == true", ["1.0.0"]),
        ("params.columns == 'b'", ["1.9.0"]),
        ("version > '1.9.0'", ["1.10.0-rc.1"]),
        ("version < '1.10.0' and model == 'fraud'", ["1.10.0-rc.1", "1.9.0", "1.0.0"]),
        ("version == '1.0.0'", ["1.0.0", "price:1.0.0"]),
        ("actor == 'ann'", ["1.9.0"]),
        ("'shops' in notes", ["1.10.0-rc.1"]),
        ("'shops' not in notes and model == 'fraud'", ["1.9.0", "1.0.0"]),
        ("notes == 'it\\'s \"odd\"'", None),
        ('notes == "First."', ["1.0.0"]),
        ("created > '2020-01-01' and created < '2100-01-01T00:00:00+01:00'", ["1.10.0-rc.1", "1.9.0", "1.0.0", "price:1.0.0"]),
        ("created < '2020-01-01'", []),
        ("model == 'price' or metrics.auc < 0.91", ["1.0.0", "price:1.0.0"]),
        ("not (model == 'price' or metrics.auc < 0.91)", ["1.10.0-rc.1", "1.9.0"]),
        ("model == 'nowhere' or model == '../x'", []),
        ("packages.cloudpickle >= '1.2' or packages.numpy > '0' or size > 0", ["1.10.0-rc.1", "1.9.0", "1.0.0", "price:1.0.0"]),
        ("file == 'model.pkl' and model in ('price')", ["price:1.0.0"]),
        (" ( ( size>-1 ) ) and not not size", ["1.10.0-rc.1", "1.9.0", "1.0.0", "price:1.0.0"]),
    ],
)  # fmt: skip
def test_an_expression_finds_what_it_says(vault, expression, found):
    if found is None:
        with pytest.raises(InvalidInput):
            vault.find(expression)
        return
    assert refs(vault.find(expression)) == found


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "at the end"),
        ("metrics.auc > ", "at the end"),
        ("metrics.auc > 'high'", "at character 15, before ''high'': 'metrics.auc' is compared with a number"),
        ("alias == prod", "at character 10"),
        ("alias == 5", "'alias' is compared with a text"),
        ("auc > 0.9", "there is no 'auc'"),
        ("metrics. > 0.9", "at character 8"),
        ("metrics > 0.9", "there is no 'metrics'"),
        ("version > '1.4'", "is no version"),
        ("created > 'today'", "is no time"),
        ("git.dirty == 'true'", "compared with true or false"),
        ("actor == true", "is not true or false"),
        ("alias == 'prod' alias == 'x'", "'and' or 'or' is expected"),
        ("alias in 'prod'", "'(' is expected"),
        ("alias in ()", "a number or a text"),
        ("(alias == 'a'", "')' is expected"),
        ("alias = 'a'", "at character 7"),
        ("alias == 'a'; DROP TABLE fact", "at character 13"),
        ("alias == 'a", "at character 10"),
        ("__import__('os')", "there is no '__import__'"),
        ("5 in metrics.auc", "only a text"),
        ("5 5", "a comparison is expected"),
        ("not " * 21 + "size", "more than 20 levels"),
        ("(" * 3000, "more than 20 levels"),
        ("size > 1 or " * 400, "at most 4000"),
        ("\ud800", "Unicode text"),
        (5, "Unicode text"),
        (None, "Unicode text"),
    ],
)
def test_what_is_no_expression_is_told_with_its_place(vault, expression, said):
    with pytest.raises(InvalidInput) as caught:
        vault.find(expression)
    assert said in str(caught.value)
    assert f"{caught.value}{caught.value.hint}".isprintable()


def test_a_name_that_is_close_is_suggested(vault):
    with pytest.raises(InvalidInput) as caught:
        vault.find("metric.auc > 0.9")
    assert caught.value.hint == "did you mean metrics.…?"
    with pytest.raises(InvalidInput) as caught:
        vault.find("zzz > 0.9")
    assert caught.value.hint.startswith("names: model, version, ")
    with pytest.raises(InvalidInput) as caught:
        vault.find("modell == 'x'")
    assert caught.value.hint == "did you mean model?"


@pytest.mark.parametrize("limit", [0, -1, True, "5", 2**40])
def test_a_limit_is_a_number_from_one_on(vault, limit):
    with pytest.raises(InvalidInput):
        vault.find("size", limit=limit)
    assert refs(vault.find("size", limit=2)) == ["1.10.0-rc.1", "1.9.0"]


@cache
def shared():
    return filled(Vault(MemoryStore()))


ODD = ["'", '"', "--", ";", "?", "%", "\0", "NULL", "fact", "' OR 1=1 --", "\\", "é", "0x1"]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(ODD),
            st.sampled_from(
                [
                    "metrics.auc",
                    "size",
                    "(",
                    ")",
                    "and",
                    "or",
                    "not",
                    "in",
                    "==",
                    ">",
                    "'x'",
                    "5",
                    "alias",
                    "params.x",
                    ",",
                ]
            ),
            st.text(max_size=5),
        ),
        max_size=12,
    ).map(" ".join)
)
def test_any_text_is_an_expression_or_invalid_input(text):
    try:
        found = shared().find(text)
    except InvalidInput as error:
        assert f"{error}{error.hint}".isprintable()
    else:
        assert len(found) <= 4
    assert len(shared().find("size")) == 4


@given(st.one_of(st.sampled_from(ODD), st.text()))
def test_a_literal_is_data_whatever_is_in_it(text):
    quote = '"' if "'" in text else "'"
    assume(quote not in text)
    assume(text not in {"fraud", "price", ""})
    for name in ("model", "alias", "notes", f"params[{quote}{text}{quote}]"):
        assert shared().find(f"{name} == {quote}{text}{quote}") == []
    values = parsed(f"alias == {quote}{text}{quote}").where
    assert values.values == ("alias", text)
    assert text not in values.sql or len(text) < 12


@given(st.integers(), st.one_of(st.integers(), st.floats(allow_nan=False)))
def test_numbers_of_any_size_compare(one, other):
    assume(len(str(other)) < 3000)
    sign = shared().find(f"metrics.auc > {other!r}") if abs(other) != float("inf") else []
    assert len(sign) == sum(value > other for value in (0.9, 0.92, 0.95)) or abs(other) == float("inf")


def test_the_deepest_and_the_longest_expression_run(vault):
    deep = "not (size == 1 and " * 9 + "size > 0" + ")" * 9
    assert isinstance(vault.find(deep), list)
    assert len(vault.find(" or ".join(["size == 1"] * 300 + ["size > 0"]))) == 4
    assert vault.find(f"model in ({', '.join(['5'.join([chr(39)] * 2)] * 700)})") == []


PARTS = st.integers(0, 10**12)
IDS = st.lists(
    st.one_of(st.integers(0, 999).map(str), st.from_regex(r"\A[0-9]{0,2}[a-z-][0-9a-z-]{0,3}\Z")), max_size=3
).map(".".join)
NUMBERS = st.builds(lambda a, b, c, ids: f"{a}.{b}.{c}" + (f"-{ids}" if ids else ""), PARTS, PARTS, PARTS, IDS)
NEAR = st.builds(lambda ids: "1.0.0" + (f"-{ids}" if ids else ""), IDS)


@given(st.one_of(st.tuples(NUMBERS, NUMBERS), st.tuples(NEAR, NEAR)))
def test_precedence_is_that_of_semantic_versions(pair):
    one, other = pair
    assert (precedence(one) < precedence(other)) == (Semver.parse(one) < Semver.parse(other))


@given(*[st.from_regex(r"\A[0-9]{1,4}(\.[0-9]{1,4}){0,3}((a|b|rc)[0-9])?\Z")] * 2)
def test_releases_of_packages_are_ordered_by_their_numbers(one, other):
    assume(len(Release(one).release) == len(Release(other).release))
    assert (natural(one) < natural(other)) == (Release(one) < Release(other))


# --- the index


class Far(Recording):
    """A store behind a network, as far as a vault can tell."""

    url = "s3://bucket"


def asked(store, cache, expression="metrics.auc > 0.9"):
    recording = Far(store)
    found = Vault(recording, cache=cache, trust="pickle").find(expression)
    return refs(found), recording.counts


def test_what_was_read_once_is_not_read_again(vault, tmp_path):
    store, cache = vault._store, tmp_path / "cache"
    found, counts = asked(store, cache)
    assert (found, counts) == (["1.10.0-rc.1", "1.9.0"], {"list": 3, "read": 5})
    assert asked(store, cache)[1] == {"list": 3, "read": 1}
    assert asked(store, cache, "model == 'fraud' and metrics.auc > 0.9")[1] == {"list": 1, "read": 1}
    vault.publish("fraud", 9, version="2.0.0", metrics={"auc": 0.99})
    assert asked(store, cache) == (["2.0.0", "1.10.0-rc.1", "1.9.0"], {"list": 3, "read": 2})
    assert asked(store, cache)[1] == {"list": 3, "read": 1}


def test_aliases_are_asked_for_each_time(vault):
    assert refs(vault.find("alias == 'prod'")) == ["1.9.0"]
    Vault(vault._store).promote("fraud@prod", "1.0.0", reason="r")
    assert refs(vault.find("alias == 'prod'")) == ["1.0.0"]
    other = Vault(vault._store)
    other.publish("fraud", 7, version="3.0.0")
    other.promote("fraud@prod", "3.0.0", reason="r")
    assert refs(vault.find("alias == 'prod'")) == ["3.0.0"]


def the_file(cache):
    [found] = (one for one in (cache / "index").iterdir())
    return found


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"metrics.auc", b"metrics.aux")),
        lambda path: path.write_bytes(sealed(b"SQLite format 3\0")),
        lambda path: path.write_bytes(sealed(b"")),
        lambda path: path.write_bytes(sealed(empty_database())),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("/nowhere")),
    ],
)
def test_a_damaged_file_is_made_anew(vault, tmp_path, damage):
    cache = tmp_path / "cache"
    expected = asked(vault._store, cache)[0]
    damage(the_file(cache))
    assert asked(vault._store, cache)[0] == expected


def sealed(body):
    import hashlib

    return hashlib.sha256(body).digest() + body


def empty_database():
    import sqlite3

    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE other (x)")
    database.commit()
    body = database.serialize()
    database.close()
    return body


def test_another_vault_in_the_same_place_is_not_mixed_up(vault, tmp_path):
    cache = tmp_path / "cache"
    assert asked(vault._store, cache)[0]
    (other := Vault(MemoryStore())).publish("fraud", 1, metrics={"auc": 0.1})
    found = Vault(Far(other._store), cache=cache).find
    assert found("metrics.auc > 0.9") == []


def test_a_vault_that_was_set_back_has_what_it_has(vault, tmp_path):
    cache = tmp_path / "cache"
    assert "1.9.0" in asked(vault._store, cache)[0]
    vault._store.delete(Key(layout.claim("fraud", "1.9.0")))
    assert asked(vault._store, cache)[0] == ["1.10.0-rc.1"]


def test_an_index_that_names_another_digest_is_dropped(vault):
    expected = refs(vault.find("metrics.auc > 0.9"))
    with vault._index._database as database:
        database.execute("UPDATE version SET digest = 'sha256:0'")
        database.execute("DELETE FROM fact WHERE name = 'metrics.auc' AND value > 0.93")
    assert refs(vault.find("metrics.auc > 0.9")) == expected


def test_a_damaged_record_is_told(vault):
    vault._store.create(Key(layout.claim("fraud", "5.0.0")), b"{}")
    with pytest.raises(Corrupt):
        vault.find("size")
    assert refs(vault.find("model == 'price' and size > 0")) == ["price:1.0.0"]


def test_without_a_cache_the_index_is_in_memory(vault, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELVAULT_CACHE", str(tmp_path / "none"))
    plain = Vault(recording := Recording(vault._store), cache=False)
    assert len(plain.find("size")) == 4
    recording.operations.clear()
    assert len(plain.find("size")) == 4
    assert recording.counts == {"list": 3, "read": 1}
    assert not (tmp_path / "none").exists()


def test_the_file_is_its_users_alone(vault, tmp_path):
    asked(vault._store, tmp_path / "cache")
    assert the_file(tmp_path / "cache").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cache" / "index").stat().st_mode & 0o777 == 0o700


def test_an_index_that_is_too_large_is_not_kept(vault, tmp_path, monkeypatch):
    monkeypatch.setattr("modelvault.search.index.LIMIT", 100)
    assert asked(vault._store, tmp_path / "cache")[0]
    assert list((tmp_path / "cache" / "index").iterdir()) == []


def refreshed(root, cache, done):
    for _ in range(20):
        done.put(len(Vault(LocalStore(root), cache=cache).find("size")))


def test_processes_that_refresh_at_once_all_find_all(tmp_path):
    root, cache = tmp_path / "vault", tmp_path / "cache"
    vault = Vault(LocalStore(root))
    for number in range(30):
        vault.publish("m", number, version=f"1.{number}.0")
    spawn = multiprocessing.get_context("spawn")
    done = spawn.Queue()
    crew = [spawn.Process(target=refreshed, args=(root, cache, done)) for _ in range(2)]
    for one in crew:
        one.start()
    assert {done.get(timeout=60) for _ in range(40)} == {30}
    for one in crew:
        one.join(60)
        assert one.exitcode == 0


def forever(root, cache):
    while True:
        index = cache / "index"
        for one in index.iterdir() if index.is_dir() else ():
            one.unlink(missing_ok=True)
        Vault(LocalStore(root), cache=cache).find("size")


def test_a_refresh_that_is_killed_leaves_a_sound_index_or_none(tmp_path):
    root, cache = tmp_path / "vault", tmp_path / "cache"
    vault = Vault(LocalStore(root))
    for number in range(5):
        vault.publish("m", number, version=f"1.{number}.0")
    spawn = multiprocessing.get_context("spawn")
    for pause in (0.0, 0.01, 0.02):
        victim = spawn.Process(target=forever, args=(root, cache))
        victim.start()
        while not (cache / "index").is_dir():
            time.sleep(0.01)
        time.sleep(pause)
        os.kill(victim.pid, signal.SIGKILL)
        victim.join(60)
        assert len(Vault(LocalStore(root), cache=cache).find("size")) == 5


def test_a_fork_makes_an_index_of_its_own(vault):
    vault.find("size")
    vault._index._process -= 1
    before = vault._index
    assert len(vault.find("size")) == 4
    assert vault._index is not before


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_refresh_reads_what_is_new_however_much_there_is(count, tmp_path):
    store = crowd(count)
    cache = tmp_path / "cache"
    assert asked(store, cache, "metrics.auc == 7")[1] == {"list": 2, "read": count + 1}
    assert asked(store, cache, "metrics.auc == 7") == (["m:1.0.7"], {"list": 2, "read": 1})
    Vault(store).publish("m", 1, version="9.0.0", metrics={"auc": 7})
    assert asked(store, cache, "metrics.auc == 7 and alias") == ([], {"list": 3, "read": 2})
    assert asked(store, cache, "metrics.auc == 7") == (["m:9.0.0", "m:1.0.7"], {"list": 2, "read": 1})


def crowd(count):
    """Versions 1.0.0, 1.0.1, … of `m`, whose metric auc is the last of these numbers."""
    vault = Vault(store := MemoryStore())
    first = vault.publish("m", "x", metrics={"auc": 0})
    for number in range(1, count):
        label = f"1.0.{number}"
        manifest = first.manifest.model_copy(update={"version": label, "metrics": {"auc": float(number)}})
        raw = write_manifest(manifest)
        target = record(Target, version=label, digest=digest_of(raw), size=len(raw), inline=raw.decode())
        at = datetime(2026, 1, 1, tzinfo=UTC)
        claim = record(Claim, model="m", target=target, txn=os.urandom(16).hex(), created=at, actor="x")
        store.create(Key(layout.claim("m", label)), seal(claim))
    return store
