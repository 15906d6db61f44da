"""Faults that a service meets sooner or later, each on a stage of its own: the version in service goes on, and recovers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from modelvault import layout
from modelvault.errors import Code, Conflict, StoreError, VaultError, shown
from modelvault.serving.drill.bench import Drill, Failed, Figures, Skipped, Stage
from modelvault.serving.events import Event
from modelvault.stores import Key
from modelvault.stores.wrappers import Operation

__all__ = ["STANDARD", "begin", "faults"]

SLOW = 5.0
"""Seconds."""
_LONG = "slow store"
_WAITS = 1.0
"""Seconds that no call takes, whatever the store does."""
_STRANGE = 256 * 1024
"""Bytes of a version that is no model."""


@dataclass(slots=True)
class Scene:
    """The version `current` in service, on a stage of its own; a rollback goes to `target`."""

    drill: Drill
    stage: Stage
    live: Any
    current: str
    target: str
    events: list[Event] = field(default_factory=list)

    def told(self, kind: str) -> None:
        """An event of that kind was told."""
        _must(any(event.kind == kind for event in self.events), f"no event says '{kind}'")

    def serves(self, which: str) -> None:
        """That version serves, and can be reached."""
        _must(self.live.version == which, f"{self.live.version} serves, not {which}")
        with self.live.pin() as now:
            _must(now.model is not None, "nothing serves")

    def recovers(self) -> None:
        """The handle follows the alias to the target."""
        self.live.refresh()
        self.serves(self.target)
        _must(self.live.status()["state"] == "serving", f"it is {self.live.status()['state']}")

    def rolled_back(self) -> Any:
        """The move back."""
        return self.stage.vault.rollback(self.drill.alias, reason="rehearsal", expect=self.current)


def faults(drill: Drill) -> Figures:
    """What serves goes on through faults, says so, and recovers."""
    if not drill.faults:
        raise Skipped("no faults were asked for")
    with ThreadPoolExecutor(len(STANDARD)) as pool:
        coming = {name: drill.begun.get(name) or pool.submit(_met, drill, name) for name in STANDARD}
        found = {name: one.result() for name, one in coming.items()}
    uncaught = [f"{name}: {one['uncaught']}" for name, one in found.items() if "uncaught" in one]
    if uncaught:
        raise Failed("; ".join(uncaught), found)
    return found


def begin(drill: Drill) -> None:
    """Begin with the one that takes long and hardly anything else: no model is loaded for it."""
    if drill.faults:
        pool = ThreadPoolExecutor(1)
        drill.ending.callback(pool.shutdown)
        drill.ending.callback(drill.over.set)
        drill.begun[_LONG] = pool.submit(_met, drill, _LONG)


def _met(drill: Drill, name: str) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        said = STANDARD[name](drill)
    except (Failed, VaultError) as error:
        return {"uncaught": shown(error)}
    except Exception as error:  # the model's own code may run
        return {"uncaught": shown(f"{type(error).__name__}: {error}")}
    return {"caught": said, "seconds": round(time.perf_counter() - began, 3)}


def _broken_artifact(drill: Drill) -> str:
    """A version whose bytes are not what was published."""
    with _scene(drill, "broken-artifact") as scene:
        made = drill.stand_in(scene.stage, _STRANGE)
        _spoil(scene.stage)
        scene.stage.vault.promote(drill.alias, made, reason="rehearsal")
        swap = scene.live.refresh()
        _must(swap is not None and swap.result == "held", "it was brought into service")
        scene.told("held")
        scene.serves(drill.current.version)
        scene.stage.vault.rollback(drill.alias, reason="rehearsal", expect=made)
        scene.rolled_back()
        scene.recovers()
        return shown(swap.reason.partition(":")[0])


def _corrupt_cache(drill: Drill) -> str:
    """A file that was changed after it had been verified."""
    stage = drill.bench.stage(f"{drill.name}-corrupt-cache")
    ref = f"{drill.model}:{drill.stand_in(stage, _STRANGE)}"
    (file,) = (path for path in stage.vault.fetch(ref).iterdir())
    before = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(_flipped(before))
    (again,) = (path for path in stage.vault.fetch(ref).iterdir())
    _must(again.read_bytes() == before, "the changed bytes were given")
    return "made anew"


def _store_down(drill: Drill) -> str:
    """A store that cannot be reached."""

    def down(operation: Operation) -> None:
        raise StoreError(f"{operation.key}: it is down", code=Code.STORE_UNREACHABLE, ref=operation.key)

    with _scene(drill, "store-down") as scene:
        scene.stage.store.trouble = down
        _raises(StoreError, scene.live.refresh)
        _raises(StoreError, scene.rolled_back)
        scene.told("stale")
        scene.serves(drill.current.version)
        scene.stage.store.trouble = None
        scene.rolled_back()
        scene.recovers()
        scene.told("recovered")
        return "stale, then recovered"


def _slow_store(drill: Drill) -> str:
    """A store that takes five seconds to answer."""
    stage = drill.bench.stage(f"{drill.name}-slow-store")
    target, current = (drill.stand_in(stage, _STRANGE) for _ in range(2))
    for number in (target, current):
        stage.vault.promote(drill.alias, number, reason="rehearsal")
    with _service(drill, stage, current, target) as scene:
        scene.rolled_back()
        ends = time.monotonic() + SLOW
        scene.stage.store.trouble = lambda _: drill.over.wait(max(ends - time.monotonic(), 0.0))
        asking = threading.Thread(target=scene.live.refresh, daemon=True)
        asking.start()
        longest = 0.0
        while asking.is_alive():
            began = time.perf_counter()
            with scene.live.pin() as now:
                _must(now.model is not None, "nothing serves")
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.01)
        _must(time.monotonic() >= ends, "the store was not waited for")
        _must(longest < _WAITS, f"a call took {longest:.1f} s")
        scene.recovers()
        return f"followed after {SLOW:g} s, no call waited"


def _conflict(drill: Drill) -> str:
    """Another who rolls back at the same moment."""
    with _scene(drill, "conflict") as scene:
        before = len(scene.stage.vault.history(drill.alias))

        def first(operation: Operation) -> None:
            if operation.verb == "create":
                scene.stage.store.trouble = None
                scene.rolled_back()

        scene.stage.store.trouble = first
        _raises(Conflict, scene.rolled_back)
        added = len(scene.stage.vault.history(drill.alias)) - before
        _must(added == 1, f"{added} moves were made")
        scene.recovers()
        return "one move, and the other was told"


def _clock_skew(drill: Drill) -> str:
    """A machine whose clock is a day behind."""
    skew = [timedelta(0)]
    with _scene(drill, "clock-skew", lambda: datetime.now(UTC) + skew[0]) as scene:
        skew[0] = timedelta(days=-1)
        moved = scene.rolled_back()
        newest, before, *_ = scene.stage.vault.history(drill.alias)
        _must(newest.seq == moved.seq and newest.at >= before.at, "the history went back in time")
        scene.recovers()
        return "in order"


STANDARD: Mapping[str, Callable[[Drill], str]] = {
    "broken artifact": _broken_artifact,
    "corrupt cache": _corrupt_cache,
    "store down": _store_down,
    "slow store": _slow_store,
    "conflict": _conflict,
    "clock skew": _clock_skew,
}


@contextmanager
def _scene(drill: Drill, name: str, clock: Callable[[], datetime] | None = None) -> Iterator[Scene]:
    stage = drill.staged(name, clock=clock)
    with _service(drill, stage, drill.current.version, drill.target.version) as scene:
        yield scene


@contextmanager
def _service(drill: Drill, stage: Stage, current: str, target: str) -> Iterator[Scene]:
    events: list[Event] = []
    with stage.vault.live(drill.alias, refresh=None, isolate=False, on_event=events.append) as live:
        yield Scene(drill, stage, live, current, target, events)


def _spoil(stage: Stage) -> None:
    """Change one bit of the largest blob that was created on `stage`."""
    blobs = [Key(key) for key in stage.store.created if key.startswith(layout.BLOBS)]
    data = max(map(stage.store.read, blobs), key=len)
    key = next(key for key in blobs if stage.store.read(key) == data)
    stage.store.replace(key, _flipped(data))


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _must(met: object, otherwise: str) -> None:
    if not met:
        raise Failed(otherwise)


def _raises(kind: type[VaultError], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    raise Failed(f"no {kind.__name__} was raised")
