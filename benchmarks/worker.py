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

from benchmarks.peers import NAME, PEERS, Peer

SECONDS, CALLS = 0.5, 100
"""How long a verb is repeated in one round, and how often at most; once at least."""

Call = Callable[[], object]


def trained() -> tuple[Any, list[float]]:
    """A small real model, and a row of the data that it was trained on."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    rows, labels = load_breast_cancer(return_X_y=True)
    return LogisticRegression(solver="liblinear").fit(rows, labels), rows[0].tolist()


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
        model, self.row = trained()
        self.answer = int(model.predict([self.row])[0])
        self.models = different(model)
        self.versions = [peer.publish(NAME, next(self.models)) for _ in range(2)]
        if peer.promote:
            for version in self.versions:
                peer.promote(version)
        self._prove()

    def publish(self) -> Call:
        return partial(self.peer.publish, f"{NAME}-more", next(self.models))  # the model that is read stays as it is

    def current(self) -> Call | None:
        return self.peer.current

    def load(self) -> Call:
        return self.peer.load

    def promote(self) -> Call | None:
        return partial(self.peer.promote, self._other()) if self.peer.promote else None

    def rollback(self) -> Call | None:
        if self.peer.rollback:
            self.peer.promote(self._other())
        return self.peer.rollback

    def _other(self) -> str:
        """The version that is not current."""
        first, second = self.versions
        return second if self.peer.current() == first else first

    def _prove(self) -> None:
        """The verbs do what they say: a figure of one that does not is worth nothing."""
        if promote := self.promote():
            other = self._other()
            promote()
            assert self.peer.current() == other
        if rollback := self.rollback():
            other = self._other()
            rollback()
            assert self.peer.current() == other
        assert self.peer.load().predict([self.row]).tolist() == [self.answer]


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
