"""The whole vault against a dictionary and an undo stack, two actors, any order, any interleaving."""

import tempfile

import pytest
from hypothesis import settings

from modelvault.stores import Store
from modelvault.stores.local import LocalStore
from modelvault.testing import VaultMachine

SHORT = settings(max_examples=25, stateful_step_count=15)
LONG = settings(max_examples=400, stateful_step_count=40)


class LocalMachine(VaultMachine):
    def make_store(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        return LocalStore(self.folder.name + "/vault")

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


class LongMachine(VaultMachine):
    pass


TestInMemory = VaultMachine.TestCase
TestInMemory.settings = SHORT
TestOnDisk = LocalMachine.TestCase
TestOnDisk.settings = settings(max_examples=8, stateful_step_count=12)
TestLong = pytest.mark.long(LongMachine.TestCase)
TestLong.settings = LONG
