"""The command over the cache: what is kept is listed, checked, pruned and forgotten; what is stale is said to be."""

import json
import os
import time
import warnings

import pytest

from modelvault import cli, vault
from modelvault.cache import Cache
from modelvault.errors import Code, StaleAlias, StoreError
from modelvault.stores.memory import MemoryStore
from modelvault.stores.wrappers import Wrapper
from modelvault.vault import Vault

URL = "s3://bucket"


class Line(Wrapper):
    """The way to a remote store, which may be down."""

    url = URL
    down = False

    def around(self, operation, call):
        if self.down:
            raise StoreError("no route to host", code=Code.STORE_UNREACHABLE)
        return call()


@pytest.fixture
def line(tmp_path, monkeypatch):
    """`fraud@prod` is at 1.0.0, a folder of two files; the command finds it through a line."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(os.urandom(10_000))
    line = Line(MemoryStore())
    made = Vault(line.inner)
    made.promote("fraud@prod", made.publish("fraud", folder), reason="first")
    monkeypatch.setattr(vault, "connect", lambda *_, **__: line)
    return line


@pytest.fixture
def kept(tmp_path):
    """The cache of the command."""
    return lambda: Cache(tmp_path / "own-cache")


@pytest.fixture
def run(capsys):
    """Runs the command; the exit code, what it printed, and what it said beside that."""

    def run(*arguments):
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("default", StaleAlias)  # as a shell has it
            code = cli.main([str(one) for one in arguments])
        return code, *capsys.readouterr()

    return run


def test_prefetch_says_what_it_brought(run, line, kept):
    code, out, _ = run("prefetch", "fraud@prod", "fraud:1.0.0")
    assert code == 0
    assert out.splitlines()[1].split()[:4] == ["fraud:1.0.0", "2", "20", "kB"]
    assert len(kept().entries()) == 3
    line.down = True
    assert run("fetch", "fraud:1.0.0")[0] == 0
    line.down = False
    found = json.loads(run("prefetch", "fraud@prod", "--json")[1])
    digest = Vault(line).version("fraud:1.0.0").digest
    assert found == [{"ref": "fraud:1.0.0", "digest": digest, "files": 2, "size": 20_000, "asked": "fraud@prod"}]


def test_prefetch_fails_where_the_store_is_away_though_all_is_there(run, line):
    run("prefetch", "fraud@prod")
    line.down = True
    assert run("prefetch", "fraud@prod")[0] == 75


def test_ls_lists_what_is_kept(run, line, kept, tmp_path):
    code, out, err = run("cache", "ls")
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'own-cache'}: 0 B of 34.4 GB")
    run("prefetch", "fraud@prod")
    _, out, _ = run("cache", "ls")
    for text in ("folders", "parts", "10 kB", "fraud:1.0.0", URL, "fraud@prod 1.0.0 as of ", ": 20 kB of"):
        assert text in out
    found = json.loads(run("cache", "ls", "--json")[1])
    [tree] = found["trees"]
    assert (tree["size"], tree["versions"], tree["kind"]) == (
        0,
        ["fraud:1.0.0"],
        "tree",
    )  # other names of the same bytes
    assert [(one["size"], one["kind"]) for one in found["content"]] == [(10_000, "content")] * 2
    [known] = found["vaults"]
    assert (known["url"], known["versions"]) == (URL, 1)
    [alias] = known["aliases"]
    assert (alias["alias"], alias["version"], alias["seq"]) == ("fraud@prod", "1.0.0", 1)
    assert alias["confirmed"].endswith("Z")
    assert (found["size"], found["limit"], found["layers"], found["writable"]) == (20_000, kept().limit, [], True)


def test_ls_shows_the_layers(run, line, tmp_path, monkeypatch):
    (tmp_path / "layer").mkdir()
    monkeypatch.setenv("MODELVAULT_CACHE_LAYERS", str(tmp_path / "layer"))
    assert json.loads(run("cache", "ls", "--json")[1])["layers"] == [str(tmp_path / "layer")]
    assert str(tmp_path / "layer") in run("cache", "ls")[1]


def test_verify_drops_what_is_damaged_and_fails(run, line, kept):
    run("prefetch", "fraud@prod")
    code, out, _ = run("cache", "verify")
    assert (code, "all well" in out) == (0, True)
    [one, *_] = [one for one in kept().entries() if one.kind == "content"]
    one.path.unlink()
    one.path.write_bytes(bytes(10_000))
    code, out, _ = run("cache", "verify", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["content"]) == (6, False, 2)
    assert [problem["code"] for problem in found["problems"]] == [Code.DIGEST_MISMATCH]
    assert run("cache", "verify")[0] == 0
    assert not one.path.exists()


def test_prune_removes_down_to_a_size(run, line, kept, monkeypatch):
    run("prefetch", "fraud@prod")
    assert run("cache", "prune", "--to", "1kB")[1] == "removed 0 of 3, 0 B; 20 kB stay\n"  # all was just used
    for one in kept().entries():
        os.utime(one.path, (time.time() - 3600, time.time() - 3600))
    assert run("cache", "prune")[1] == "removed 0 of 3, 0 B; 20 kB stay\n"
    found = json.loads(run("cache", "prune", "--to", "15 kB", "--json")[1])
    assert [one["kind"] for one in found["removed"]] == ["tree", "content"]
    assert (found["freed"], found["size"]) == (10_000, 10_000)
    monkeypatch.setenv("MODELVAULT_CACHE_LIMIT", "5kB")
    assert run("cache", "prune")[1] == "removed 1 of 1, 10 kB; 0 B stay\n"
    assert run("cache", "prune", "--to", "0")[1] == "removed 0 of 0, 0 B; 0 B stay\n"


def test_forget_lets_a_vault_be_set_back(run, line):
    vault = Vault(line.inner)
    vault.promote("fraud@prod", vault.publish("fraud", {"n": 9}, version="9.0.0"), reason="again")
    assert run("fetch", "fraud@prod")[0] == 0
    [newest, _] = line.inner.list("models/fraud/aliases/prod/")
    line.inner.delete(newest.key)
    code, _, err = run("fetch", "fraud@prod")
    assert (code, f"modelvault cache forget {URL}" in err) == (6, True)
    assert run("cache", "forget", URL) == (0, f"forgot what was seen of {URL}\n", "")
    assert run("fetch", "fraud@prod")[0] == 0
    assert json.loads(run("cache", "forget", URL, "--json")[1]) == {"forgotten": URL}


def test_forget_of_what_is_not_known_lists_what_is(run, line):
    run("fetch", "fraud@prod")
    code, _, err = run("cache", "forget", "s3://buckets")
    assert code == 3
    assert f"vaults: {URL}" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("forget",),
        ("ls", URL),
        ("prune", URL),
        ("ls", "--to", "1GB"),
        ("forget", URL, "--to", "0"),
        ("prune", "--to", "much"),
        ("grow",),
        (),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error(run, line, arguments):
    assert run("cache", *arguments)[0] == 2


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("MODELVAULT_CACHE_LIMIT", "much", 2), ("MODELVAULT_CACHE_LAYERS", "/nowhere/at/all", 2)],
)
def test_an_environment_that_makes_no_sense_is_an_error(run, line, monkeypatch, name, value, code):
    monkeypatch.setenv(name, value)
    for arguments in (("cache", "ls"), ("fetch", "fraud@prod")):
        assert run(*arguments)[0] == code


# --- stale


def test_a_stale_alias_is_a_warning_beside_the_answer(run, line):
    _, path, _ = run("fetch", "fraud@prod")
    line.down = True
    code, out, err = run("fetch", "fraud@prod")
    assert (code, out) == (0, path)
    assert err.startswith("warning: fraud@prod is fraud:1.0.0 as of ")
    assert err.count("\n") == 1
    assert "no route to host" in err


def test_show_says_how_stale_it_is_and_what_it_does_not_know(run, line):
    fresh = json.loads(run("show", "fraud@prod", "--json")[1])
    assert (fresh["stale"], fresh["aliases"]) == (None, ["prod"])
    line.down = True
    code, out, _ = run("show", "fraud@prod", "--json")
    stale = json.loads(out)
    assert code == 0
    assert stale["stale"] >= 0
    assert (stale["aliases"], stale["yanked"], stale["remarks"]) == (None, None, None)
    assert stale.keys() == fresh.keys()
    assert {name: stale[name] for name in ("ref", "digest", "files")} == {name: fresh[name] for name in ("ref", "digest", "files")}  # fmt: skip
    assert "stale: " in run("show", "fraud@prod")[1]
    assert run("show", "fraud:1.0.0")[0] == 75


def test_who_writes_while_the_store_is_away_is_told_to_try_later(run, line):
    run("fetch", "fraud@prod")
    line.down = True
    for arguments in (
        ("promote", "fraud@prod", "1.0.0", "--reason", "x"),
        ("rollback", "fraud@prod", "--reason", "x"),
        ("note", "fraud@prod", "x"),
        ("history", "fraud@prod"),
    ):
        code, _, err = run(*arguments)
        assert (code, "warning" in err) == (75, False)
