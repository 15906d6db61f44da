from functools import partial

import pytest

from modelvault.stores import connect
from modelvault.testing import StoreSuite


class TestSFTP(StoreSuite):
    @pytest.fixture
    def store(self, sftp_server):
        place = sftp_server.place()
        store = place.connect()
        store.place = place
        return store

    def opener(self, store):
        return partial(connect, store.place.url, **store.place.options)
