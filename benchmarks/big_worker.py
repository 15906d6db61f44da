"""A process that does one thing with a large model, and says how long that took, and how much memory.

python -m benchmarks.big_worker modelvault publish FOLDER TREE
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.big_peers import CHUNKERS, REGISTRIES


def main() -> None:
    """Print seconds, and the MiB above what the import of the package took."""
    package, verb, folder, tree = sys.argv[1:]
    os.chdir(folder)
    peer = next(peer for peer in (*REGISTRIES, *CHUNKERS) if peer.package == package)()
    before, begin = _peak(), perf_counter()
    getattr(peer, verb)(Path(tree))
    seconds = perf_counter() - begin
    print(json.dumps([seconds, _children() if peer.commands else _peak() - before]))


def _children() -> float:
    """MiB that were resident at most in a command that was run."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _peak() -> float:
    """MiB that were resident at most."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
