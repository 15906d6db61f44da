"""The format `cloudpickle`: any Python object.  Loading runs code: see `trust`.  The only module that imports cloudpickle."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

from modelvault.errors import Code, InvalidInput, Unsupported, VaultError, shown
from modelvault.formats import Files

__all__ = ["Cloudpickle"]

_FILE = "model.pkl"
_PROTOCOL = 5
_OPCODES = 500_000


class Cloudpickle:
    """One pickle, which plain `pickle.load` can read where cloudpickle is installed."""

    name = "cloudpickle"
    safe = False

    def accepts(self, obj: object) -> bool:
        """Anything; what cannot be pickled shows when it is."""
        return True

    def dump(self, obj: Any, folder: Path) -> set[str]:
        """Write one file.

        Raises:
            InvalidInput: `bad-value`, the object holds something that cannot be pickled.
        """
        import cloudpickle

        try:
            with open(folder / _FILE, "wb") as file:
                cloudpickle.dump(obj, file, protocol=_PROTOCOL)
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

        Raises:
            Unsupported: `extra-missing`, a package that it needs is not installed; `load-failed`, its code failed.
        """
        data = files.read(_FILE)
        try:
            return pickle.loads(data)  # noqa: S301 - `trust` has been asked before
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
