"""The format `numpy`: an array, or a dict of arrays by name, as ``.npy`` or ``.npz`` (no pickles).

The only module that imports numpy.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from modelvault.errors import Code, Corrupt
from modelvault.formats import Files

__all__ = ["Arrays"]

_ONE, _MANY = "array.npy", "arrays.npz"


class Arrays:
    """Arrays of plain dtypes; loading runs nothing."""

    name = "numpy"
    safe = True

    def accepts(self, obj: object) -> bool:
        """An array, or a non-empty dict from text to arrays; none of Python objects."""
        return _is_array(obj) or (
            isinstance(obj, dict)
            and bool(obj)
            and all(isinstance(key, str) and key.isidentifier() and _is_array(value) for key, value in obj.items())
        )

    def dump(self, obj: Any, folder: Path) -> tuple[str, ...]:
        """Write one file, uncompressed."""
        import numpy as np

        if isinstance(obj, dict):
            np.savez(folder / _MANY, allow_pickle=False, **obj)
        else:
            np.save(folder / _ONE, obj, allow_pickle=False)
        return ("numpy",)

    def load(self, files: Files) -> Any:
        """The array, or the dict."""
        import numpy as np

        try:
            if files.paths == (_ONE,):
                return np.load(io.BytesIO(files.read(_ONE)), allow_pickle=False)
            with np.load(io.BytesIO(files.read(_MANY)), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (ValueError, OSError, EOFError, KeyError) as error:
            raise Corrupt(f"not arrays of numpy: {error}", code=Code.BAD_RECORD) from error


def _is_array(obj: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(obj) is numpy.ndarray and not obj.dtype.hasobject
