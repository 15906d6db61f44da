"""The format `numpy`: an array, or a dict of arrays by name, as ``.npy`` or ``.npz`` (no pickles).

Large arrays are not copied: they lie where the file is mapped.  The only module that imports numpy.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

from modelvault.errors import Code, Corrupt, Unsupported, shown
from modelvault.formats import Files

__all__ = ["Arrays"]

_ONE, _MANY, _NPY = "array.npy", "arrays.npz", ".npy"
_LARGE = 64 * 1024
"""Bytes; an array with less is a copy, and checked against the CRC of its archive."""
_HEADER = 16 * 1024
"""Bytes, of which numpy takes at most 10,000."""
_LOCAL = struct.Struct("<4s22x2H")
"""The header of a member of an archive, as far as it matters: magic, length of the name, length of what follows it."""
_ALIGNED = 64
_PADDING = 0xD935
"""The kind of the extra field that moves an array to an aligned place, as Android's zipalign has it."""
_ZIP64 = 20
"""Bytes of the extra field with the sizes of a member."""


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
        """The array, or the dict.  They are writable, and what is written stays in this process."""
        try:
            import numpy.lib.format  # noqa: F401 - its absence is no damage
        except ImportError as error:
            raise Unsupported("numpy is not installed", code=Code.EXTRA_MISSING, hint="pip install numpy") from error
        one = files.paths == (_ONE,)
        data = files.map(_ONE if one else _MANY)
        try:
            return _array(data) if one else _read_many(data)
        except Exception as error:  # nobody knows what readers of hostile bytes may raise
            raise Corrupt(f"not arrays of numpy: {shown(error)}", code=Code.BAD_RECORD) from error


class _View(io.RawIOBase):
    """The bytes of a view as a file, without a copy of them all."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, len(self._data))[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        found = self._data[self._at : self._at + len(buffer)]
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _write_many(arrays: dict[str, Any], path: Path) -> None:
    """As `numpy.savez`, which takes no arrays called `file` or `allow_pickle`, and puts them anywhere."""
    from numpy.lib.format import write_array

    with open(path, "wb") as raw, zipfile.ZipFile(raw, "w") as out:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(name + _NPY)
            begin = raw.tell() + _LOCAL.size + len(member.filename.encode()) + _ZIP64 + 4
            member.extra = struct.pack("<2H", _PADDING, -begin % _ALIGNED) + bytes(-begin % _ALIGNED)
            with out.open(member, "w", force_zip64=True) as file:
                write_array(file, array, allow_pickle=False)


def _read_many(data: memoryview) -> dict[str, Any]:
    with zipfile.ZipFile(io.BufferedReader(_View(data))) as stored:
        members = stored.infolist()
        if sum(member.file_size for member in members) > len(data):
            raise ValueError("its members are larger than itself")
        return {member.filename.removesuffix(_NPY): _read_one(stored, member, data) for member in members}


def _read_one(stored: zipfile.ZipFile, member: zipfile.ZipInfo, data: memoryview) -> Any:
    from numpy.lib.format import read_array

    with stored.open(member) as file:
        if member.file_size >= _LARGE and member.compress_type == zipfile.ZIP_STORED:
            return _array(_member(member, data))
        return read_array(file, allow_pickle=False)


def _member(member: zipfile.ZipInfo, data: memoryview) -> memoryview:
    """The bytes of a member that is stored as it is."""
    magic, *lengths = _LOCAL.unpack_from(data, member.header_offset)
    begin = member.header_offset + _LOCAL.size + sum(lengths)
    found = data[begin : begin + member.file_size]
    if magic != b"PK\3\4" or len(found) != member.file_size:
        raise ValueError("a member is not where its archive says")
    return found


def _array(data: memoryview) -> Any:
    """The array in an ``.npy`` file: over its bytes, if they are many, as plain as most, and where a processor wants them."""
    from numpy.lib.format import read_array

    found = _over(data) if len(data) >= _LARGE else None
    return read_array(io.BytesIO(data), allow_pickle=False) if found is None else found


def _over(data: memoryview) -> Any:
    import numpy as np
    from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic

    file = io.BytesIO(data[:_HEADER])
    header = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}.get(read_magic(file))
    if header is None:
        return None
    shape, fortran, dtype = header(file)
    if dtype.hasobject or min(shape, default=0) < 0:  # numpy would make up a length for -1
        raise ValueError("its dtype holds Python objects, or its shape is negative")
    array = np.ndarray(shape, dtype, data, offset=file.tell(), order="F" if fortran else "C")
    return array if array.flags.aligned else None


def _is_array(obj: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(obj) is numpy.ndarray and not obj.dtype.hasobject
