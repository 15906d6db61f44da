"""A warm process that runs one peer: it is sent the name of a verb, and answers with the seconds of each call.

    python -m benchmarks.worker modelvault FOLDER

Its first answer is a row of data and what the model predicts for it, when everything has been published and proven.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks.peers import PEERS, Peer

SECONDS, CALLS = 0.5, 100
"""How long a verb is repeated in one round, and how often at most; once at least."""

Call = Callable[[], object]


def trained() -> tuple[Any, Any, list[float]]:
    """Two real models, of about 1 KB and 150 KB, and a row of the data that they were trained on."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    rows, labels = load_breast_cancer(return_X_y=True)
    small = LogisticRegression(solver="liblinear").fit(rows, labels)
    return small, KNeighborsClassifier(algorithm="brute").fit(rows, labels), rows[0].tolist()


def different(model: Any) -> Iterator[Any]:
    """Copies of `model`, no two of the same bytes: some peers do not store again what they have."""
    while True:
        model = copy.deepcopy(model)
        model.intercept_ += 1e-9
        yield model


class Verbs:
    """One call of each verb, ready to be timed; what has to be prepared for it is not.  None: the peer has no such verb."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        small, larger, self.row = trained()
        self.answer = int(small.predict([self.row])[0])
        self.models = different(small)
        self.versions = [peer.publish("cancer", next(self.models)) for _ in range(2)]
        version = peer.publish("cancer-larger", larger)
        if peer.promote:
            peer.promote("cancer", self.versions[0])
            peer.promote("cancer", self.versions[1])
            peer.promote("cancer-larger", version)
        self._prove()

    def publish(self) -> Call:
        return partial(self.peer.publish, "cancer-more", next(self.models))  # the model that is read stays as it is

    def current(self) -> Call | None:
        return partial(self.peer.current, "cancer") if self.peer.current else None

    def load(self) -> Call:
        return partial(self.peer.load, "cancer")

    def load_larger(self) -> Call:
        return partial(self.peer.load, "cancer-larger")

    def promote(self) -> Call | None:
        return partial(self.peer.promote, "cancer", self._other()) if self.peer.promote else None

    def rollback(self) -> Call | None:
        if self.peer.rollback is None:
            return None
        self.peer.promote("cancer", self._other())
        return partial(self.peer.rollback, "cancer")

    def _other(self) -> str:
        """The version that is not current."""
        first, second = self.versions
        return second if self.peer.current("cancer") == first else first

    def _prove(self) -> None:
        """The verbs do what they say: a figure of one that does not is worth nothing."""
        for verb in (self.promote, self.rollback):
            if call := verb():
                other = self._other()
                call()
                assert self.peer.current("cancer") == other
        for load in (self.load(), self.load_larger()):
            assert load().predict([self.row]).tolist() == [self.answer]


def timed(prepare: Callable[[], Call | None]) -> list[float]:
    """Seconds of each call."""
    times: list[float] = []
    until = perf_counter() + SECONDS
    while len(times) < CALLS and (not times or perf_counter() < until):
        call = prepare()
        if call is None:
            break
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return times


def main() -> None:
    """Answer until the input ends.  What peers print goes to the standard error."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    package, folder = sys.argv[1:]
    os.chdir(folder)
    verbs = Verbs(next(peer for peer in PEERS if peer.package == package)())
    replies.write(json.dumps([verbs.row, verbs.answer]) + "\n")
    for line in sys.stdin:
        replies.write(json.dumps(timed(getattr(verbs, line.strip()))) + "\n")


if __name__ == "__main__":
    main()
