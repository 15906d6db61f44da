"""A version is tried in a process of its own before it may come near the one in service."""

import os
import signal

import pytest

from modelvault.serving import isolated
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

from .models import Exits, Hangs, Says, numbers, until


@pytest.fixture
def vault(tmp_path):
    return numbers(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"), 2)


class Crashes:
    def __reduce__(self):
        return os.kill, (0, signal.SIGKILL)  # its whole group, which is its own


@pytest.mark.parametrize(("model", "why"), [(Exits(), "exit code 7"), (Crashes(), "SIGKILL")])
def test_one_that_kills_its_loader_is_held(vault, model, why):
    vault.publish("m", model, version="2.0.0")
    with vault.live("m@prod", refresh=None) as live:
        vault.promote("m@prod", "2.0.0", reason="x")
        swap = live.refresh()
        assert (swap.result, live.number()) == ("held", 0)
        assert "load-failed" in swap.reason
        assert why in swap.reason


def test_one_that_ends_its_loader_as_if_all_were_well_is_held(vault):
    class Leaves:
        def __reduce__(self):
            return os._exit, (0,)

    vault.publish("m", Leaves(), version="2.0.0")
    with vault.live("m@prod", refresh=None) as live:
        vault.promote("m@prod", "2.0.0", reason="x")
        assert live.refresh().result == "held"


def test_one_that_hangs_is_ended(vault, monkeypatch):
    monkeypatch.setattr(isolated, "_LIMIT", 3.0)
    vault.publish("m", Hangs(), version="2.0.0")
    with vault.live("m@prod", refresh=None) as live:
        vault.promote("m@prod", "2.0.0", reason="x")
        assert "did not load within 3 s" in live.refresh().reason


def test_one_that_hangs_does_not_keep_the_next_from_coming(vault):
    vault.publish("m", Hangs(), version="2.0.0")
    with vault.live("m@prod", refresh=0.1) as live:
        vault.promote("m@prod", "2.0.0", reason="x")
        until(lambda: live._following.coming)
        vault.promote("m@prod", "1.1.0", reason="repaired")
        until(lambda: live.version == "1.1.0")
        until(lambda: live.status()["rejected"] == {})


def test_what_this_host_has_loaded_is_not_tried_again(vault, monkeypatch):
    with vault.live("m@prod", refresh=None) as live:
        vault.promote("m@prod", "1.1.0", reason="x")
        assert "isolate" in live.refresh().seconds
        vault.publish("m", Says(9), version="2.0.0")
        for version in ("2.0.0", "1.1.0"):
            vault.promote("m@prod", version, reason="x")
            assert live.refresh().result == "swapped"
        monkeypatch.setattr(isolated, "_run", None)
        vault.promote("m@prod", "2.0.0", reason="x")
        assert live.refresh().result == "swapped"


def test_where_no_process_can_be_started_it_is_loaded_here(vault, monkeypatch):
    monkeypatch.setattr(isolated, "_PROGRAM", "import sys; sys.exit(1)")
    with vault.live("m@prod", refresh=None) as live:
        vault.promote("m@prod", "1.1.0", reason="x")
        assert live.refresh().result == "swapped"


def test_a_start_tries_a_new_version_elsewhere_if_it_has_something_to_fall_back_on(vault):
    vault.live("m@prod", refresh=None).close()
    vault.publish("m", Exits(), version="2.0.0")
    vault.promote("m@prod", "2.0.0", reason="x")
    with vault.live("m@prod", refresh=None) as live:
        assert (live.version, live.status()["state"], live.status()["wanted"]) == ("1.0.0", "held", "2.0.0")
        assert "exit code 7" in live.status()["reason"]
