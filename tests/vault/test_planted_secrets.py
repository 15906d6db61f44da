"""500 secrets of 25 kinds, planted wherever a publisher has them: none in any stored byte, log, message or recipe."""

import json
import logging
import os
import shutil
import subprocess
import sys
import traceback
from functools import partial

import pytest

from modelvault import cli
from modelvault.errors import Code, Refused, VaultError
from modelvault.gates import Verdict
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

from ..unit.planted import planted

EACH = 20
SECRETS = planted(EACH)
BATCHES = [pytest.param(SECRETS[at::EACH], id=str(at), marks=[pytest.mark.long] * (at % 5 > 0)) for at in range(EACH)]
"""One of each kind in a batch."""
NO_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


class Telling:
    """A model that names a secret among its parameters, or fails with it."""

    def __init__(self, secret, *, fails=False):
        self._secret, self._fails = secret, fails

    def get_params(self, deep=True):
        if self._fails:
            raise ConnectionError(f"cannot reach {self._secret.spoken}")
        return {"alpha": 0.5, self._secret.name or "endpoint": self._secret.text}

    def __reduce__(self):
        return (str, ("a model",))


@pytest.fixture
def vault(tmp_path):
    return Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache")


@pytest.fixture
def unseen(tmp_path, caplog, capfd):
    """Sees to it that none of the words is in what is stored, logged, printed, or among `texts`."""
    caplog.set_level(logging.DEBUG)

    def check(secrets, *texts):
        stored = b"".join(path.read_bytes() for path in (tmp_path / "vault").rglob("*") if path.is_file())
        said = [
            stored.decode("utf-8", "replace"),
            *capfd.readouterr(),
            *(each.getMessage() for each in caplog.records),
            *texts,
        ]
        for one in secrets:
            for text in said:
                assert one.word not in text, one
                assert json.dumps(one.word)[1:-1] not in text, one

    return check


def told(error):
    return "".join(
        [str(error), error.hint, error.ref, repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    )


def distribution(folder, number, one):
    """A package that was installed from an index that asks for the secret, as ``pip`` records it."""
    info = folder / f"acme_{number}-1.0.dist-info"
    info.mkdir(parents=True)
    user = one.text if "\n" not in one.text and "/" not in one.text and "@" not in one.text else one.word
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme_{number}\nVersion: 1.0\n")
    url = f"https://build:{user}@index.acme.example/acme_{number}-1.0.tar.gz?token={one.word}"
    (info / "direct_url.json").write_text(json.dumps({"url": url, "archive_info": {}}))


@pytest.mark.parametrize("batch", BATCHES)
def test_nothing_that_is_captured_holds_a_secret(batch, vault, unseen, tmp_path, monkeypatch):
    """Environment, command line, settings of pip and installed packages, parameters and exceptions of the model."""
    for number, one in enumerate(batch):
        monkeypatch.setenv(f"PLANTED_{number}", one.text)
        monkeypatch.setenv((one.name or f"SERVICE_TOKEN_{number}").upper(), one.text)
        distribution(tmp_path / "packages", number, one)
    monkeypatch.setenv("PIP_INDEX_URL", f"https://__token__:{batch[0].word}@index.acme.example/simple")
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[global]\nindex-url = https://build:{batch[1].word}@index.acme.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.syspath_prepend(tmp_path / "packages")
    options = [word for one in batch for word in (f"--{one.name or 'service-token'}", one.text, one.spoken)]
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "train.py", *options, "--lr", "0.1"])
    for one in batch[:: len(batch) // 3]:
        version = vault.publish("m", Telling(one), bump="minor")
        assert version.provenance.algorithm.params["alpha"] == 0.5
        assert vault.publish("m", Telling(one, fails=True), bump="minor").provenance.algorithm is None
    run = version.provenance.run
    long = sum(map(len, options)) > 8 * 1024
    assert (
        run.command == () if long else run.command[:2] == ("python", "train.py") and run.command[-2:] == ("--lr", "0.1")
    )
    assert "acme-0 @ https://index.acme.example/acme_0-1.0.tar.gz\n" in version.provenance.lock
    vault.reproduce(version.ref, tmp_path / "recipe")
    recipe = "".join(path.read_text() for path in (tmp_path / "recipe").iterdir())
    unseen(batch, recipe, repr(version.manifest), str(version))


def calls(vault, one):
    """All that a user says of a version and of a move, with a secret in it."""
    said = f"Nightly training, {one.spoken} and so on."
    publish = partial(vault.publish, "m", 2, bump="minor")
    return [
        partial(publish, params={"deep": [{one.name or "x": one.text}]}),
        partial(publish, params={one.spoken: 1}),
        partial(publish, notes=said),
        partial(publish, metrics={one.spoken: 1.0}),
        partial(publish, actor=one.spoken),
        partial(vault.promote, "m@prod", "1.0.0", reason=said),
        partial(vault.rollback, "m@prod", reason=said),
        partial(vault.note, "m@prod", said),
        partial(vault.yank, "m:1.0.0", reason=said),
    ]


@pytest.mark.parametrize("batch", BATCHES)
def test_what_a_user_says_is_refused_and_the_message_does_not_repeat_it(batch, vault, unseen, tmp_path):
    (tmp_path / "x").write_text("x")
    vault.promote("m@prod", vault.publish("m", 1), reason="first")
    errors = []
    for one in batch:
        for call in calls(vault, one):
            with pytest.raises(VaultError) as refusal:
                call()
            assert refusal.value.code == Code.SECRET_FOUND
            errors.append(told(refusal.value))
    code = cli.main(
        ["publish", "m", str(tmp_path / "x"), "--bump", "minor", "--notes", batch[0].spoken, "--vault", vault.url]
    )
    assert code == 2
    assert [version.number for version in vault.versions("m")] == ["1.0.0"]
    unseen(batch, *errors)


def test_a_secret_in_the_name_of_a_file_or_in_a_wrong_argument_is_not_repeated(vault, unseen, tmp_path):
    one = next(one for one in SECRETS if one.kind == "GitHub token")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / f"{one.text}.json").write_text("{}")
    with pytest.raises(VaultError) as refusal:
        vault.publish("m", tmp_path / "files")
    assert refusal.value.code == Code.SECRET_FOUND
    for more in ([], ["--json"]):
        assert (
            cli.main(["publish", "m", str(tmp_path), "--metric", f"auc={one.text}", "--vault", vault.url, *more]) == 2
        )
        assert cli.main(["publish", "m", str(tmp_path), one.text, "--vault", vault.url, *more]) == 2
    unseen([one], told(refusal.value))


def test_what_others_raise_is_shown_without_its_secrets(vault, unseen, monkeypatch, capfd):
    """Gates, models that cannot be stored, faults of the program itself."""

    class Unstorable:
        def __init__(self, secret):
            self._secret = secret

        def __reduce__(self):
            raise ConnectionError(self._secret.spoken)

    vault.promote("m@prod", vault.publish("m", 1), reason="first")
    vault.publish("m", 2, version="1.1.0")
    said = []
    for one in SECRETS:

        def fails(proposal, one=one):
            raise ConnectionError(f"no answer: {one.spoken}")

        with pytest.raises(Refused) as refusal:
            vault.promote("m@prod", "1.1.0", reason="x", gates=[fails])
        said.append(str(refusal.value) + repr(vars(refusal.value)))
        with pytest.raises(VaultError) as failure:
            vault.publish("m", Unstorable(one), bump="minor")
        said.append(str(failure.value) + repr(vars(failure.value)))
    for turn, one in enumerate(SECRETS[::EACH]):
        to = f"1.{1 - turn % 2}.0"
        vault.promote("m@prod", to, reason="x", gates=[lambda _, one=one: Verdict(passed=True, reason=one.spoken)])
    fault = ("demo", (lambda _: fails(None), "", ()))
    monkeypatch.setitem(cli.VERBS, *fault)
    assert cli.main(["demo"]) == cli.main(["demo", "--json"]) == 1
    unseen(SECRETS, *said)


@NO_GIT
def test_no_remote_of_a_repository_tells_a_secret_and_no_patch_is_kept_that_does(vault, unseen, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@acme.example"]
    (tmp_path / "train.py").write_text("print()\n")
    for words in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    remotes = [f"https://build:{one.word}@git.acme.example/fraud.git?x={one.word}#{one.word}" for one in SECRETS]
    remotes += [f"https://{one.text}@git.acme.example/fraud.git" for one in SECRETS if "\n" not in one.text]
    kept = subprocess.run(["cat", ".git/config"], capture_output=True, text=True, check=True).stdout
    from modelvault.provenance.git import changes
    from modelvault.provenance.git import git as found

    for remote in remotes[:: len(remotes) // 100]:
        (tmp_path / ".git" / "config").write_text(f'{kept}[remote "origin"]\n\turl = "{remote.replace(chr(34), "")}"\n')
        unseen(SECRETS, repr(found()))
    vault.publish("m", 1)
    (tmp_path / ".git" / "config").write_text(kept)
    for one in SECRETS[::7]:
        (tmp_path / "train.py").write_text(f"print()\nSETTINGS = '''\n{one.spoken}\n'''\n")
        with pytest.raises(VaultError) as refusal:
            changes()
        assert refusal.value.code == Code.SECRET_FOUND
        assert "train.py" in refusal.value.message
        unseen([one], told(refusal.value))
    with pytest.raises(VaultError):
        vault.publish("m", 1, bump="minor", keep_diff=True)
    unseen(SECRETS)
