"""Keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelvault import layout
from modelvault.errors import Code, Corrupt

FOLDER = "models/fraud/aliases/prod/"


def test_the_layout_is_the_documented_one():
    assert layout.VAULT == "modelvault.json"
    assert layout.claim("fraud", "1.4.0") == "models/fraud/versions/1.4.0.json"
    assert layout.entry(layout.journal("fraud", "prod"), 1) == "models/fraud/aliases/prod/9999999998.json"
    assert layout.entry(layout.notes("fraud", "1.4.0"), 2) == "models/fraud/notes/1.4.0/9999999997.json"
    assert layout.blob("sha256:9f" + "0" * 62) == "blobs/sha256/9f/9f" + "0" * 62
    assert layout.folder_name("models/fraud/") == "fraud"


@given(st.integers(1, layout.LAST_SEQ), st.integers(1, layout.LAST_SEQ))
def test_newer_entries_sort_first_and_keys_tell_their_seq(one, other):
    keys = layout.entry(FOLDER, one), layout.entry(FOLDER, other)
    assert [layout.seq_of(key) for key in keys] == [one, other]
    assert (keys[0] < keys[1]) == (one > other)


@pytest.mark.parametrize(
    "name", ["x.json", "9999999999.json", "0000000000.json", "999999999.json", "9999999998", "٩999999998.json"]
)
def test_a_key_that_no_journal_writes_is_corrupt(name):
    with pytest.raises(Corrupt) as caught:
        layout.seq_of(FOLDER + name)
    assert caught.value.code == Code.JOURNAL_BROKEN


def test_a_claim_key_tells_its_number():
    assert layout.number_of(layout.claim("fraud", "1.0.0-rc.1")) == "1.0.0-rc.1"


@pytest.mark.parametrize("name", ["1.4.0", "x.json", "1.4.json", "sub/"])
def test_a_key_that_no_claim_has_is_corrupt(name):
    with pytest.raises(Corrupt) as caught:
        layout.number_of("models/fraud/versions/" + name)
    assert caught.value.code == Code.BAD_RECORD
