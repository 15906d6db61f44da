"""Errors: categories, codes, and what may be printed."""

import pickle

import pytest

from modelvault import errors
from modelvault.errors import Code, VaultError, shown

CATEGORIES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VaultError)]
BUILTINS = {"NotFound": KeyError, "InvalidInput": ValueError, "StoreError": OSError}


@pytest.mark.parametrize("kind", CATEGORIES, ids=lambda kind: kind.__name__)
def test_an_error_says_what_happened_and_what_to_do_next(kind):
    error = kind("prod moved", code=Code.ALIAS_MOVED, hint="look again", ref="fraud@prod")
    assert str(error) == "prod moved"
    assert (error.code, error.hint, error.ref) == ("alias-moved", "look again", "fraud@prod")
    assert error.__notes__ == ["hint: look again"]
    assert isinstance(error, BUILTINS.get(kind.__name__, Exception))


@pytest.mark.parametrize("kind", CATEGORIES, ids=lambda kind: kind.__name__)
def test_an_error_crosses_processes_whole(kind):
    error = kind("prod moved", code=Code.ALIAS_MOVED, hint="look again", ref="fraud@prod")
    error.expected = "1.0.0"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.__dict__, str(again)) == (error.__dict__, "prod moved")


def test_stored_text_cannot_steer_a_terminal():
    assert shown("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\\nc\\u202ed"
    assert shown("x" * 500) == "x" * 200 + "…"
    assert shown("\ud800") == "\\ud800"
