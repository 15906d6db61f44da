"""The format `numpy`: an array, or a dict of arrays by name, as ``.npy`` or ``.npz`` (no pickles).

The only module that imports numpy.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import IO, Any

from modelvault.errors import Code, Corrupt, Unsupported, shown
from modelvault.formats import Files

__all__ = ["Arrays"]

_ONE, _MANY, _NPY = "array.npy", "arrays.npz", ".npy"


class Arrays:
    """Arrays of plain dtypes; loading runs nothing."""

    name = "numpy"
    safe = True

    def accepts(self, obj: object) -> bool:
        """An array, or a non-empty dict from text to arrays; none of Python objects."""
        return _is_array(obj) or (
            type(obj) is dict
            and bool(obj)
            and all(isinstance(key, str) and key.isidentifier() and _is_array(value) for key, value in obj.items())
        )

    def dump(self, obj: Any, folder: Path) -> tuple[str, ...]:
        """Write one file, uncompressed."""
        import numpy as np

        if isinstance(obj, dict):
            _write_many(obj, folder / _MANY)
        else:
            np.save(folder / _ONE, obj, allow_pickle=False)
        return ("numpy",)

    def load(self, files: Files) -> Any:
        """The array, or the dict."""
        try:
            import numpy.lib.format  # noqa: F401 - its absence is no damage
        except ImportError as error:
            raise Unsupported("numpy is not installed", code=Code.EXTRA_MISSING, hint="pip install numpy") from error
        one = files.paths == (_ONE,)
        data = files.read(_ONE if one else _MANY)
        try:
            return _read(io.BytesIO(data)) if one else _read_many(data)
        except Exception as error:  # nobody knows what readers of hostile bytes may raise
            raise Corrupt(f"not arrays of numpy: {shown(error)}", code=Code.BAD_RECORD) from error


def _write_many(arrays: dict[str, Any], path: Path) -> None:
    """As `numpy.savez`, which takes no arrays called `file` or `allow_pickle`."""
    from numpy.lib.format import write_array

    with zipfile.ZipFile(path, "w") as out:
        for name, array in arrays.items():
            with out.open(name + _NPY, "w", force_zip64=True) as file:
                write_array(file, array, allow_pickle=False)


def _read(file: IO[bytes]) -> Any:
    from numpy.lib.format import read_array

    return read_array(file, allow_pickle=False)


def _read_many(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as stored:
        members = stored.infolist()
        if sum(member.file_size for member in members) > len(data):
            raise ValueError("its members are larger than itself")
        return {member.filename.removesuffix(_NPY): _read(stored.open(member)) for member in members}


def _is_array(obj: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(obj) is numpy.ndarray and not obj.dtype.hasobject
