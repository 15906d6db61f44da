"""The format `cloudpickle`: any Python object.  Loading runs code: see `trust`.  The only module that imports cloudpickle.

The large buffers of an object, such as the values of its arrays, are stored beside its pickle (PEP 574), so that neither
side copies them.  Their file begins with a line that tells their sizes; each begins at the next multiple of 64.

    {"sizes":[800000,1600000]}
"""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported, VaultError, shown
from modelvault.formats import Files

__all__ = ["Cloudpickle"]

_FILE, _BUFFERS = "model.pkl", "model.buffers"
_PROTOCOL = 5
_OPCODES = 500_000
_LARGE = 64 * 1024
"""Bytes; a buffer with less stays in the pickle."""
_ALIGNED = 64
_MOST = 10_000
"""Buffers; the others stay in the pickle."""
_LINE = 32 * _MOST
"""Bytes that the line of their sizes takes at most."""


class Cloudpickle:
    """One pickle, which plain `pickle.load` reads where cloudpickle is installed, given the large buffers that lie beside it."""

    name = "cloudpickle"
    safe = False

    def accepts(self, obj: object) -> bool:
        """Anything; what cannot be pickled shows when it is."""
        return True

    def dump(self, obj: Any, folder: Path) -> set[str]:
        """Write one file, or two.

        Raises:
            InvalidInput: `bad-value`, the object holds something that cannot be pickled.
        """
        import cloudpickle

        buffers: list[memoryview] = []

        def keep(buffer: pickle.PickleBuffer) -> bool:
            """Whether it stays in the pickle."""
            raw = buffer.raw()
            stays = raw.nbytes < _LARGE or len(buffers) == _MOST
            buffers.extend([] if stays else [raw])
            return stays

        try:
            with open(folder / _FILE, "wb") as file:
                cloudpickle.dump(obj, file, protocol=_PROTOCOL, buffer_callback=keep)
            if buffers:
                _write(buffers, folder / _BUFFERS)
        except (OSError, MemoryError):  # the disk is full, say: not the object's fault
            raise
        except Exception as error:  # whatever the object's own code raises
            raise InvalidInput(
                f"a {shown(type(obj).__qualname__)} cannot be pickled: {shown(error)}",
                code=Code.BAD_VALUE,
                hint="save it with its own framework and publish the file: publish(name, Path('model.onnx'))",
            ) from error
        return _modules(folder / _FILE)

    def load(self, files: Files) -> object:
        """The object.

        Its buffers are writable, for some estimators write to theirs, and what is written stays in this process.

        Raises:
            Corrupt: `bad-record`, these are not the files of a pickle.
            Unsupported: `extra-missing`, a package that it needs is not installed; `load-failed`, its code failed.
        """
        buffers = [] if files.paths == (_FILE,) else _read(files)
        data = files.map(_FILE)
        try:
            return pickle.loads(data, buffers=buffers)  # noqa: S301 - `trust` has been asked before
        except VaultError:
            raise
        except ImportError as error:
            raise Unsupported(
                f"the object needs something that is not installed: {shown(error)}",
                code=Code.EXTRA_MISSING,
                hint="install the packages of the version's environment: 'modelvault show' lists them",
            ) from error
        except Exception as error:  # the object's own code runs here and may raise anything
            raise Unsupported(
                f"the object cannot be rebuilt here: {shown(type(error).__name__)}: {shown(error)}",
                code=Code.LOAD_FAILED,
                hint="compare your packages with the version's environment: 'modelvault show' lists it",
            ) from error


def _write(buffers: Sequence[memoryview], path: Path) -> None:
    sizes = [buffer.nbytes for buffer in buffers]
    with open(path, "wb") as file:
        file.write(_line(sizes))
        for buffer, begin in zip(buffers, _begins(sizes), strict=False):
            file.write(bytes(begin - file.tell()))
            file.write(buffer)


def _line(sizes: Sequence[int]) -> bytes:
    return json.dumps({"sizes": sizes}, separators=(",", ":")).encode() + b"\n"


def _begins(sizes: Sequence[int]) -> Iterator[int]:
    """Where each buffer begins, and where the last one ends."""
    end = len(_line(sizes))
    for size in sizes:
        yield (begin := end + -end % _ALIGNED)
        end = begin + size
    yield end


def _read(files: Files) -> list[memoryview]:
    """The buffers, where they lie."""
    if set(files.paths) != {_FILE, _BUFFERS}:
        raise Corrupt(f"a pickle is {_FILE}, and maybe {_BUFFERS}, and no other file", code=Code.BAD_RECORD)
    data = files.map(_BUFFERS)
    try:
        line = bytes(data[:_LINE]).partition(b"\n")[0]
        sizes = json.loads(line)["sizes"]
        if line + b"\n" != _line(sizes) or not all(type(size) is int and size > 0 for size in sizes):
            raise ValueError("its first line is not of sizes")
        *begins, end = _begins(sizes)
        if end != len(data):
            raise ValueError(f"it should have {end} bytes, and has {len(data)}")
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise Corrupt(f"{_BUFFERS} holds no buffers: {shown(error)}", code=Code.BAD_RECORD) from error
    return [data[begin : begin + size] for begin, size in zip(begins, sizes, strict=True)]


def _modules(path: Path) -> set[str]:
    """The modules that a pickle names, from its first opcodes: the names stand before the data of each class."""
    import pickletools

    found: set[str] = set()
    texts: list[str] = []
    with open(path, "rb") as file:
        for opcode, argument, _ in itertools.islice(pickletools.genops(file), _OPCODES):
            if isinstance(argument, str):
                texts.append(argument)
                if opcode.name == "GLOBAL":
                    found.add(argument.partition(" ")[0])
            elif opcode.name == "STACK_GLOBAL":
                found.update(text for text in texts[-2:] if _is_module(text))
    return found


def _is_module(text: str) -> bool:
    import sys

    return text in sys.modules
