"""Several things at once, on threads: what is slow here waits for a store or a disk, or hashes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Self, TypeVar

__all__ = ["Aside", "ahead", "ordered", "parallel", "prefetched"]

_WORKERS = 8
_HELD = 128 * 1024 * 1024
"""Bytes in memory of what is begun and not taken, where `ahead` is told how many each takes."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = _WORKERS,
    stop: Callable[[], object] = lambda: None,
) -> list[Result]:
    """`work` done to each item, several at a time; the first failure is raised when all that had begun has ended.

    `stop` is called before that is waited for, be it a failure or an interrupt.
    """
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(workers, len(listed)))
    try:
        return list(pool.map(work, listed))
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def ordered(work: Callable[[Item], Result], items: Iterable[Item], window: int) -> Iterator[Result]:
    """What `work` makes of each item, in order, `window` of them begun or waiting to be taken at any time."""
    coming = iter(items)
    first, second = next(coming, None), next(coming, None)
    if first is None:
        return
    if second is None:
        yield work(first)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    pool, begun = ThreadPoolExecutor(window), deque[Future[Result]]()
    try:
        begun += [pool.submit(work, first), pool.submit(work, second)]
        for item in coming:
            if len(begun) >= window:
                yield begun.popleft().result()
            begun.append(pool.submit(work, item))
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def prefetched(items: Iterable[Item], window: int) -> Iterator[Item]:
    """`items`, which a thread of its own takes, up to `window` of them before they are asked for."""
    from concurrent.futures import ThreadPoolExecutor

    coming, pool = iter(items), ThreadPoolExecutor(1)
    begun = deque(pool.submit(next, coming, None) for _ in range(window))
    try:
        while (item := begun.popleft().result()) is not None:
            begun.append(pool.submit(next, coming, None))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(work: Callable[[Item], Result], items: Iterable[Item], weigh: Callable[[Item], int]) -> Generator[Result]:
    """What `work` makes of each item, in order, all cores busy with those that follow: one, or more of 128 MiB together.

    `weigh` says how many bytes an item and what is made of it take.  Where the items fail, what was made of those before is
    given first.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    workers, held, failures = min(_WORKERS, os.cpu_count() or 1), 0, list[Exception]()
    pool, begun = ThreadPoolExecutor(workers), deque[tuple[Future[Result], int]]()
    try:
        for item in _until_failure(items, failures):
            weight = weigh(item)
            while begun and (len(begun) > workers or held + weight > _HELD):
                first, taken = begun.popleft()
                yield first.result()
                held -= taken
            begun.append((pool.submit(work, item), weight))
            held += weight
        while begun:
            yield begun.popleft()[0].result()
        for failure in failures:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)


def _until_failure(items: Iterable[Item], failures: list[Exception]) -> Iterator[Item]:
    """The items; and what they end with, for what came before is not to be lost."""
    try:
        yield from items
    except Exception as error:  # it is raised later
        failures.append(error)


class Aside:
    """Work on a thread of its own, piece after piece, which runs ahead of it by no more than `window` of them."""

    def __init__(self, window: int = 8) -> None:
        from concurrent.futures import Future, ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(1)
        self._begun = deque[Future[object]]()
        self._window = window

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def do(self, work: Callable[[Item], object], item: Item) -> None:
        """Have `work` done to `item`, some time before `done`."""
        if len(self._begun) >= self._window:
            self._begun.popleft().result()
        self._begun.append(self._pool.submit(work, item))

    def done(self) -> None:
        """Wait for all of it."""
        while self._begun:
            self._begun.popleft().result()
