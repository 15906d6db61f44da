"""A process that runs one peer on a bucket: it is sent the name of a verb, and answers with the seconds of one call.

    python -m benchmarks.far_worker modelvault FOLDER

Its first answer comes when the package is imported and its connection is set up as its users do at start-up.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.far_peers import PEERS, FarPeer


def called(peer: FarPeer, verb: str, large: Path) -> list[float]:
    """The seconds of one call, whose result is then looked at."""
    from benchmarks.worker import trained

    small, _, row = trained()
    arguments: list[Any] = {"publish_small": [small], "publish_large": [large]}.get(verb, [])
    begin = perf_counter()
    done = getattr(peer, verb)(*arguments)
    seconds = perf_counter() - begin
    if verb == "load_small":
        assert done.predict([row]).tolist() == small.predict([row]).tolist()
    if verb == "load_large":
        assert done.stat().st_size == large.stat().st_size
    return [seconds]


def main() -> None:
    """Answer until the input ends.  What peers print goes to the standard error."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    package, folder = sys.argv[1:]
    os.chdir(folder)
    settings = json.loads(os.environ["SETTINGS"])
    import sklearn.linear_model  # noqa: F401 - what is loaded needs it, whoever loads it

    peer = next(peer for peer in PEERS if peer.package == package)(settings)
    replies.write(json.dumps([[], 0]) + "\n")
    for line in sys.stdin:
        replies.write(json.dumps(called(peer, line.strip(), Path(settings["large"]))) + "\n")


if __name__ == "__main__":
    main()
