"""A vault with two versions, and a monitor of the second, whose undo is a real one."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from modelvault import Guard, moving
from modelvault.errors import Conflict
from modelvault.moving import Who
from modelvault.reference import parse_alias
from modelvault.serving.watch import Monitor
from modelvault.stores.memory import MemoryStore
from modelvault.vault import Vault
from modelvault.wire import Move

REF = parse_alias("m@prod")


class Model:
    """Fails for inputs that `fails` says, and takes as long as `slow` says."""

    def __init__(self, fails: Callable[[Any], bool] = lambda x: False, slow: float = 0.0) -> None:
        self.fails, self.slow = fails, slow
        self.asked: list[Any] = []

    def predict(self, x: Any) -> Any:
        """`x`."""
        self.asked.append(x)
        time.sleep(self.slow)
        if self.fails(x):
            raise RuntimeError(f"cannot do {x}")
        return x


class Scene:
    """One process that serves `m@prod`; `now` is its clock, in seconds."""

    def __init__(
        self, *guards: Guard, store: MemoryStore | None = None, keep: bool = True, gates: Any = (), **options: Any
    ) -> None:
        self.vault = Vault(store or MemoryStore(), clock=lambda: datetime.fromtimestamp(self.now, UTC))
        self.keep = keep
        self.now = 1_800_000_000.0
        self.told: list[tuple[str, str]] = []
        self.undone: list[Move | None] = []
        self.models = {"1.0.0": Model(), "1.1.0": Model()}
        if store is None:
            for version in self.models:
                self.vault.publish("m", version, version=version)
                self.vault.promote("m@prod", version, reason="next", gates=gates)
        self.monitor = Monitor(
            guards,
            undo=self.undo,
            tell=lambda kind, reason: self.told.append((kind, reason)),
            clock=lambda: self.now,
            run=lambda work: work(),
            **options,
        )
        self.serve()

    def snapshot(self, version: str) -> Any:
        """That version in service."""
        digest = self.vault.version(f"m:{version}").digest
        return SimpleNamespace(model=self.models.get(version), version=version, digest=digest)

    def serve(self) -> None:
        """Follow the alias."""
        move = self.vault.history("m@prod")[0]
        self.monitor.swapped(self.snapshot(move.version or ""), self.snapshot("1.0.0") if self.keep else None, move)
        self.move = move

    def undo(self, reason: str, evidence: Mapping[str, Any], move: Move) -> bool:
        """As a live handle does: one compare-and-set; nothing if somebody was faster."""
        who = Who("guard", reason, lambda: datetime.fromtimestamp(self.now, UTC), f"{len(self.undone) + id(self):032x}")
        try:
            self.undone.append(moving.undo(self.vault._catalog, REF, move, who, evidence=evidence, cooldown=3_600))
        except Conflict:
            self.undone.append(None)
        return True

    def calls(self, n: int, bad: int, seconds: float = 0.001, error: BaseException | None = None) -> None:
        """`n` calls, of which the last `bad` fail."""
        digest = self.snapshot(self.move.version or "").digest
        for at in range(n):
            failed = (error or RuntimeError()) if at >= n - bad else None
            if self.monitor.saw(digest, seconds, failed):
                self.monitor.remember(digest, seconds, failed, ("predict", (at,), {}))

    @property
    def version(self) -> str | None:
        """Where the alias points."""
        return self.vault.history("m@prod")[0].version
