"""Every promise of the store port, kept on real servers of the clouds' protocols."""

from functools import partial

import pytest

from modelvault.stores import connect
from modelvault.stores.remote import PART
from modelvault.testing import StoreSuite


class CloudSuite(StoreSuite):
    large = 24 * PART
    rounds = 5

    @pytest.fixture
    def store(self, server):
        place = server.place()
        store = place.connect()
        store.place = place
        return store

    def opener(self, store):
        return partial(connect, store.place.url, **store.place.options)


class TestSeaweedFS(CloudSuite):
    sweeps = False

    @pytest.fixture
    def server(self, s3_server):
        return s3_server


@pytest.mark.long
class TestMoto(CloudSuite):
    rounds = 0  # it races: `tests/servers` says so

    @pytest.fixture
    def server(self, moto_server):
        return moto_server


class TestGCS(CloudSuite):
    @pytest.fixture
    def server(self, gcs_server):
        return gcs_server


class TestAzure(CloudSuite):
    @pytest.fixture
    def server(self, azure_server):
        return azure_server
