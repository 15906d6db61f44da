"""What a drill works on: a vault that it may write to as it likes, and what its steps tell each other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from modelvault.errors import shown
from modelvault.stores.overlay import Overlay
from modelvault.wire import File, JsonValue, Manifest, Move

__all__ = ["Bench", "Drill", "Failed", "Figures", "Plan", "Skipped", "Stage", "Verbs", "wait"]

Figures = Mapping[str, JsonValue]


class Verbs(Protocol):
    """The verbs of a vault that a rehearsal plays with."""

    def publish(self, model: str, obj: Any, *, bump: Any = None) -> Any:
        """A version that is there from now on."""
        ...

    def promote(self, alias: str, to: str, *, reason: str) -> Move:
        """Point an alias at a version."""
        ...

    def rollback(self, alias: str, *, reason: str, expect: str | None = None) -> Move:
        """Point it back."""
        ...

    def history(self, alias: str) -> list[Move]:
        """All its moves, newest first."""
        ...

    def fetch(self, ref: str) -> Path:
        """The files of a version, in a folder."""
        ...

    def verify(self, ref: str, *, level: Any) -> Any:
        """What is wrong with a version."""
        ...

    def live(self, ref: str, **options: Any) -> Any:
        """A handle that follows an alias."""
        ...


class Plan(NamedTuple):
    """The way back: from `current` to `target`, which is that of entry `seq`, past what was `skipped`."""

    current: Manifest
    target: Manifest
    seq: int
    skipped: Sequence[JsonValue]


class Stage(NamedTuple):
    """A copy of the vault, of which nothing stays, and the store that keeps it."""

    vault: Verbs
    store: Overlay


class Bench(Protocol):
    """A vault, as a drill sees it."""

    scratch: Path
    """A folder that goes when the drill ends."""

    def plan(self) -> Plan:
        """Which version a rollback would go to.  Raises what the rollback would."""
        ...

    def stage(self, name: str, *, clock: Callable[[], datetime] | None = None) -> Stage:
        """A copy of the vault, of that name."""
        ...

    def files(self, manifest: Manifest, *, kept: bool) -> Path:
        """The verified files of a version, in a folder: from the store, or where they are `kept`, from the user's cache."""
        ...

    def parts(self, manifest: Manifest) -> Mapping[str, Manifest]:
        """What is loaded for a version, by name: itself, without a name; of a release set, its members."""
        ...

    def read(self, file: File) -> bytes:
        """One file of a version, verified."""
        ...

    def trusted(self, manifest: Manifest) -> None:
        """The reader of this vault may load a version.  Raises `Untrusted`."""
        ...


class Failed(Exception):
    """A step did not pass, and why.  `figures` are what was measured nevertheless."""

    def __init__(self, reason: str, figures: Figures | None = None) -> None:
        super().__init__(reason)
        self.figures = figures or {}


class Skipped(Exception):
    """There is nothing to do for a step, and why."""


@dataclass(slots=True)
class Drill:
    """A drill under way.  `ends` is when its budget is used up, by the monotonic clock."""

    bench: Bench
    model: str
    quick: bool
    faults: bool
    ends: float
    name: str
    plan: Plan | None = None
    folders: dict[str, Path] = field(default_factory=dict)
    """The verified files of the parts of the target, by their names."""
    answered: Mapping[str, Any] = field(default_factory=dict)
    """What the fresh process said of the examples."""
    service: tuple[Verbs, Any] | None = None
    """The vault and the live handle of the rehearsal."""
    begun: dict[str, Future[dict[str, Any]]] = field(default_factory=dict)
    """What was begun early, by name; it ends soon when the drill is `over`."""
    over: threading.Event = field(default_factory=threading.Event)
    ending: ExitStack = field(default_factory=ExitStack)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self.ends - time.monotonic(), 0.0)

    @property
    def target(self) -> Manifest:
        """Where a rollback goes."""
        assert self.plan is not None
        return self.plan.target

    @property
    def current(self) -> Manifest:
        """Where the alias points."""
        assert self.plan is not None
        return self.plan.current

    @property
    def parts(self) -> Mapping[str, Manifest]:
        """What is loaded for the target, by name."""
        return self.bench.parts(self.target)

    @property
    def alias(self) -> str:
        """The one that is moved: nobody has heard of it."""
        return f"{self.model}@{self.name}"

    def opened(self, live: Any) -> Any:
        """`live`, which is closed when the drill ends."""
        return self.ending.enter_context(live)

    def staged(self, name: str, *, clock: Callable[[], datetime] | None = None) -> Stage:
        """A copy of the vault, in which `alias` was promoted to the target and then to the current version."""
        stage = self.bench.stage(f"{self.name}-{name}", clock=clock)
        for manifest in (self.target, self.current):
            stage.vault.promote(self.alias, manifest.version, reason="rehearsal")
        return stage

    def stand_in(self, stage: Stage, size: int) -> str:
        """The number of a new version on `stage`, which is a file of so many bytes of noise."""
        file = self.bench.scratch / f"{os.urandom(8).hex()}.bin"
        file.write_bytes(os.urandom(size))
        number: str = stage.vault.publish(self.model, file, bump="patch").number
        return number


def wait(seconds: float, until: Callable[[], bool], what: str) -> float:
    """The seconds until `until` is true.

    Raises:
        Failed: it is not after so many.
    """
    began = time.perf_counter()
    while not until():
        if time.perf_counter() - began > seconds:
            raise Failed(f"{shown(what)}: not within {seconds:.1f} s")
        time.sleep(0.002)
    return time.perf_counter() - began
