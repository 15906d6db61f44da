"""Anything at all as an argument of any verb: an error of the vault, or it works.  No other exception comes out."""

import inspect
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelvault
from modelvault.errors import Code, InvalidInput, VaultError
from modelvault.stores.local import LocalStore
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault

pytestmark = pytest.mark.filterwarnings("ignore::modelvault.errors.IncompleteSignature")


class Rude:
    """Answers nothing."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


class RudeText(str):
    """Text that will not be converted or stripped."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ZeroDivisionError

    strip = encode = __repr__ = __str__  # type: ignore[assignment]


class Ruder(Rude):
    """Not to be compared, hashed or taken for true or false either."""

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        raise ZeroDivisionError

    def __bool__(self) -> bool:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError


class RudePath:
    def __fspath__(self) -> str:
        raise ZeroDivisionError


class Liar:
    """Says that it is a path, and is not."""

    def __fspath__(self) -> Any:
        return 5


LOOP: list[object] = []
LOOP.append(LOOP)
RudeName = type("\x1b[2J", (), {})

HOSTILE: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "True": lambda: True,
    "nought": lambda: 0,
    "a number": lambda: 5,
    "a fraction": lambda: -1.5,
    "not a number": lambda: float("nan"),
    "a large number": lambda: 10**5_000,
    "bytes": lambda: b"m@prod",
    "other bytes": lambda: b"\xff\0",
    "no text": lambda: "",
    "a space": lambda: " ",
    "NUL": lambda: "\0",
    "an escape": lambda: "\x1b[2J",
    "an override": lambda: "\u202em",
    "half a surrogate pair": lambda: "\ud800",
    "an escaped byte": lambda: "\udcff",
    "long text": lambda: "a" * 10_000,
    "10 MB of text": lambda: "a" * 10_000_000,
    "no list": list,
    "a list": lambda: [5],
    "a list of text": lambda: ["\ud800"],
    "a list in itself": lambda: LOOP,
    "a set": lambda: {1, 2},
    "a generator": lambda: (x for x in "ab"),
    "no dict": dict,
    "a dict": lambda: {5: 6},
    "a dict of half a surrogate pair": lambda: {"\ud800": 1},
    "a dict of nothing": lambda: {"a": None},
    "a dict of a large number": lambda: {"a": 10**400},
    "a dict of infinity": lambda: {"a": float("inf")},
    "a dict of something rude": lambda: {"a": Rude()},
    "a dict by something rude": lambda: {Rude(): 1},
    "a dict of two names that are one": lambda: {1: 1, "1": 2},
    "an object": object,
    "a type": lambda: int,
    "a function": lambda: lambda *_: 1 / 0,
    "an exception": lambda: ValueError("\x1b"),
    "an array": lambda: np.arange(3),
    "a scalar": lambda: np.float64(3),
    "text of numpy": lambda: np.str_("m"),
    "something rude": Rude,
    "something ruder": Ruder,
    "rude text": lambda: RudeText("m@prod"),
    "a rude path": RudePath,
    "no path": Liar,
    "a rude name": RudeName,
    "a device": lambda: Path("/dev/null"),
    "a path with NUL": lambda: Path("\0"),
    "a long path": lambda: Path("a" * 5_000),
    "the current folder": lambda: ".",
    "the root": lambda: "/",
    "a folder": Path,
    "a version of another vault": lambda: Vault(MemoryStore()).publish("m", 1),
}
SLOW = {("fetch", "only", "10 MB of text")}  # a pattern of 10 MB takes Python's `re` a while


@pytest.fixture
def vault(place: Path) -> Vault:
    return fill(Vault(LocalStore(place / "vault"), cache=place / "cache"))


def fill(vault: Vault) -> Vault:
    vault.publish("m", {"a": 1}, version="1.0.0")
    vault.publish("m", {"a": 2}, version="1.1.0")
    vault.promote("m@prod", "1.0.0", reason="x")
    vault.promote("m@prod", "1.1.0", reason="x")
    return vault


def draft(vault: Vault, model: Any, **members: Any) -> None:
    with vault.draft(
        model, **{name: members.pop(name) for name in ("version", "bump", "base", "keep_diff", "actor")}
    ) as made:
        (made.path / "x").write_text("x")
        for name, value in members.items():
            setattr(made, name, value)


def live(vault: Vault, ref: Any, **options: Any) -> None:
    vault.live(ref, **options).close()


BUMP = {"bump": "patch"}
VERBS: dict[str, tuple[Callable[..., object], tuple[str, ...], dict[str, object]]] = {
    # name: the call, its arguments by position, and what they are when they are good
    "open": (lambda _, url, **options: modelvault.open(url, **options), ("url",), {"url": "vault", "cache": False, "trust": None, "option": ""}),
    "load_": (lambda _, ref, **options: modelvault.load(ref, **options), ("ref",), {"ref": "m@prod", "vault": "vault"}),
    "publish": (Vault.publish, ("model", "obj"), {"model": "m", "obj": 1, "base": None, "format": None, "params": None, "metrics": None, "data": (), "notes": "", "keep_diff": False, "actor": None, "compress": False, "dry_run": False, "example": [[1.0]], "signature": None} | BUMP),
    "publish_dry_": (Vault.publish, ("model", "obj"), {"model": "m", "obj": 1, "version": "3.0.0", "dry_run": True}),
    "open_file": (lambda vault, path: vault.version("m@prod").open(path), ("path",), {"path": "object.pkl"}),
    "publish_": (Vault.publish, ("model", "obj"), {"model": "m", "obj": 1, "version": "1.0.0"}),
    "draft": (draft, ("model",), {"model": "m", "version": None, "base": None, "keep_diff": False, "actor": None, "params": {}, "metrics": {}, "data": [], "notes": ""} | BUMP),
    "suggest_bump": (Vault.suggest_bump, ("model", "obj"), {"model": "m", "obj": 1, "example": [[1.0]], "signature": None, "base": "1.0.0"}),
    "load": (Vault.load, ("ref",), {"ref": "m@prod", "check": False}),
    "live": (live, ("ref",), {"ref": "m@prod", "refresh": None, "timeout": 10.0, "guard": (), "expects": None, "warmup": True, "check": True, "isolate": False, "env": "warn", "keep_previous": None, "offline": "fail", "on_event": None, "canary": "m@none", "share": 0.05, "canary_key": None, "shadow": None}),
    "fetch": (Vault.fetch, ("ref", "to"), {"ref": "m@prod", "to": "out/{}", "only": ()}),
    "fetch_": (Vault.fetch, ("ref",), {"ref": "m@prod", "only": ()}),
    "prefetch": (Vault.prefetch, ("refs",), {"refs": "m@prod"}),
    "version": (Vault.version, ("ref",), {"ref": "m@prod"}),
    "versions": (Vault.versions, ("model",), {"model": "m"}),
    "aliases": (Vault.aliases, ("model",), {"model": "m"}),
    "history": (Vault.history, ("alias",), {"alias": "m@prod"}),
    "notes": (Vault.notes, ("ref",), {"ref": "m@prod"}),
    "explain": (Vault.explain, ("alias", "seq"), {"alias": "m@prod", "seq": 1}),
    "diff": (Vault.diff, ("a", "b"), {"a": "m:1.0.0", "b": "m:1.1.0"}),
    "compare": (Vault.compare, ("model", "metrics"), {"model": "m", "metrics": "auc"}),
    "find": (Vault.find, ("expression",), {"expression": "alias == 'prod'", "limit": None}),
    "card": (Vault.card, ("ref",), {"ref": "m@prod"}),
    "page": (Vault.page, ("to",), {"to": "out/{}", "models": ()}),
    "reproduce": (Vault.reproduce, ("ref", "to"), {"ref": "m@prod", "to": "out/{}"}),
    "verify": (Vault.verify, ("ref",), {"ref": "m@prod", "level": "presence"}),
    "promote": (Vault.promote, ("alias", "to"), {"alias": "m@prod", "to": "1.0.0", "reason": "x", "expect": None, "gates": (), "actor": None, "dry_run": False}),
    "check": (Vault.check, ("to",), {"to": "1.0.0", "against": "m@prod", "gates": (), "actor": None}),
    "rollback": (Vault.rollback, ("alias",), {"alias": "m@prod", "reason": "x", "to": None, "expect": None, "actor": None}),
    "note": (Vault.note, ("ref", "text"), {"ref": "m@prod", "text": "x", "kind": "remark", "metrics": None, "evidence": {}, "actor": None}),
    "quarantine": (Vault.quarantine, ("ref",), {"ref": "m:1.0.0", "reason": "x", "evidence": None, "actor": None}),
    "protect": (Vault.protect, ("alias",), {"alias": "m@prod", "gates": [modelvault.gates.compatible], "reason": "x", "actor": None}),
    "unprotect": (Vault.unprotect, ("alias",), {"alias": "m@prod", "reason": "x", "actor": None}),
    "policy": (Vault.policy, ("alias",), {"alias": "m@prod"}),
    "release": (Vault.release, ("ref",), {"ref": "m:1.0.0", "reason": "x", "actor": None}),
    "yank": (Vault.yank, ("ref",), {"ref": "m:1.0.0", "reason": "x", "actor": None}),
    "unyank": (Vault.unyank, ("ref",), {"ref": "m:1.0.0", "reason": "x", "actor": None}),
}  # fmt: skip

CASES = [(verb, name) for verb, (_, _, good) in VERBS.items() for name in good]


def test_the_table_has_every_verb_and_every_argument():
    for verb, (call, _, good) in VERBS.items():
        if call is getattr(Vault, verb, None) and not verb.endswith("_"):
            asked = set(inspect.signature(call).parameters) - {"self"}
            missing = asked - set(good) - ({"version"} if verb == "publish" else set())
            assert missing == set(), verb
    verbs = {name for name in dir(Vault) if callable(getattr(Vault, name)) and not name.startswith("_")}
    assert verbs - set(VERBS) - LATER == {"models"}


LATER: set[str] = {"drill"}
"""Verbs that have arguments of their own kind, and tests of their own."""


def called(vault: Vault, verb: str, changed: dict[str, Any], count: Iterator[int]) -> object:
    call, positional, good = VERBS[verb]
    arguments = {
        name: value.format(next(count)) if name == "to" and verb == "fetch" else value for name, value in good.items()
    }  # type: ignore[attr-defined]
    arguments |= changed
    return call(vault, *(arguments.pop(name) for name in positional), **arguments)


def checked(call: Callable[[], object]) -> VaultError | None:
    """The error of the vault that `call` raises, which can be printed; nothing else may come out."""
    try:
        call()
    except VaultError as error:
        assert f"{error}{error.hint}{error.ref}".isprintable()
        assert len(f"{error}{error.hint}") < 2_000
        return error
    return None


@pytest.mark.parametrize(("verb", "name"), CASES, ids=["-".join(case) for case in CASES])
def test_anything_as_an_argument_works_or_is_an_error_of_the_vault(verb, name, vault, place, monkeypatch):
    (place / "out").mkdir()
    monkeypatch.chdir(place / "out")
    (place / "out" / "vault").symlink_to(place / "vault")
    count = itertools.count()
    for what, make in HOSTILE.items():
        if (verb, name, what) not in SLOW and not (name == "data" and what == "the root"):
            checked(lambda make=make: called(vault, verb, {name: make()}, count))
    assert vault.verify().ok, str(vault.verify())


@pytest.mark.parametrize(
    "what", ["a number", "bytes", "no text", "half a surrogate pair", "an object", "something ruder"]
)
@pytest.mark.parametrize(
    ("verb", "name"), [("promote", "reason"), ("rollback", "reason"), ("note", "text"), ("yank", "reason")]
)
def test_a_reason_is_text_that_says_something(verb, name, what, vault):
    error = checked(lambda: called(vault, verb, {name: HOSTILE[what]()}, itertools.count()))
    assert isinstance(error, InvalidInput)
    assert error.code == Code.BAD_VALUE
    assert len(vault.history("m@prod")) == 2
    assert vault.notes("m:1.0.0") == vault.notes("m:1.1.0") == []


@pytest.mark.parametrize("what", ["a function", "text", "a generator", "bytes", "an array"])
def test_gates_that_are_no_list_do_not_open(what, vault):
    gates = {"text": lambda: "abc"}.get(what) or HOSTILE[what]
    error = checked(lambda: vault.promote("m@prod", "1.0.0", reason="x", gates=gates()))
    assert isinstance(error, InvalidInput)
    assert vault.aliases("m")["prod"].version == "1.1.0"


@pytest.mark.parametrize("metrics", [{"a": "1.5"}, {"a": b"1"}, {"a": None}, {"a": float("nan")}, {"a": 10**400}, {5: 1.0}, {"\ud800": 1.0}, [("a", 1.0)], "a"])  # fmt: skip
def test_metrics_are_finite_numbers_by_name(metrics, vault):
    for call in (lambda: vault.publish("m", 1, bump="patch", metrics=metrics), lambda: vault.note("m:1.0.0", "x", metrics=metrics)):  # fmt: skip
        error = checked(call)
        assert isinstance(error, InvalidInput)
    assert len(vault.versions("m")) == 2


def test_two_parameters_whose_names_have_one_text_are_refused_and_not_merged(vault):
    for params in ({1: "a", "1": "b"}, {"deep": [{None: 1, "None": 2}]}, {"\ud800": 1}):
        assert isinstance(
            checked(lambda params=params: vault.publish("m", 1, bump="patch", params=params)), InvalidInput
        )
    assert len(vault.versions("m")) == 2


def test_a_parameter_that_cannot_be_shown_is_recorded_by_its_type(vault):
    version = vault.publish("m", 1, bump="patch", params={"a": Rude(), "b": RudePath(), "c": LOOP, "d": Ruder()})
    assert version.params["a"] == f"<{__name__}.Rude>"
    assert version.params["d"] == f"<{__name__}.Ruder>"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=20)
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["m@prod", "m:1.0.0", "m:*", "m", "1.0.0", "minor", "out", "pickle", "numpy"])
    | st.builds(object)
    | st.builds(Rude)
    | st.sampled_from([Path("x"), Path("..")]),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {"open", "load_"}])
def test_any_arguments_together_work_or_are_an_error_of_the_vault(verb, data, tmp_path, monkeypatch):
    folder = tmp_path / os.urandom(8).hex()
    folder.mkdir()
    monkeypatch.chdir(folder)
    vault = fill(Vault(MemoryStore(), cache=tmp_path / "cache"))
    _, _, good = VERBS[verb]
    names = data.draw(st.sets(st.sampled_from(sorted(good)), min_size=1))
    arguments = {name: data.draw(anything, label=name) for name in sorted(names)}
    checked(lambda: called(vault, verb, arguments, itertools.count()))
    assert vault.verify().ok, str(vault.verify())
