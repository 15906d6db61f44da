"""A model that follows an alias while the process runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from modelvault.errors import Code, InvalidInput, shown
from modelvault.reference import AliasRef
from modelvault.serving.calls import follower
from modelvault.serving.following import Following
from modelvault.serving.options import Options
from modelvault.serving.snapshot import Snapshot
from modelvault.serving.source import Source
from modelvault.serving.status import Status
from modelvault.serving.swap import Swap

if TYPE_CHECKING:
    from modelvault.gates import Gate
    from modelvault.serving.beside import Beside, Canary

__all__ = ["Live"]


class Live:
    """The model that an alias points to, whatever that is at each moment.

    Its methods and attributes are those of the model: ``live.predict(x)``, ``live.transform(x)``, ``live(x)``.  Each call
    goes to one version, and a version that is replaced finishes the calls that it has begun.  Use it from any number of
    threads, and in children of the process.  For several calls on one version there is `pin`.
    """

    def __init__(
        self, source: Source, ref: AliasRef, options: Options, again: Callable[[], Live], canary: Canary | None = None
    ) -> None:
        """Use `Vault.live`."""
        self._following = Following(source, ref, options)
        self._following.start()
        self._beside: Beside | None = None
        if canary is not None:
            from modelvault.serving.beside import Beside

            self._beside = self._following.beside = Beside(self._following, source, canary)
        self._slot = self._following.slot
        self._call = follower(self._following, "__call__")
        self._again = again

    def __getattr__(self, name: str) -> Any:
        """An attribute of the model in service.  A method of it follows: it may be kept."""
        if name.startswith("_"):
            raise AttributeError(f"a live handle has no attribute {name!r}; the model may: live.model")
        value = getattr(self._slot.now.model, name)
        if callable(value):
            value = self.__dict__[name] = follower(self._following, name)
        return value

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the model in service."""
        return self._call(*arguments, **named)

    @property
    def model(self) -> Any:
        """The object in service.  Whoever keeps it does not follow."""
        return self._slot.now.model

    @property
    def version(self) -> str:
        """The number of the version in service."""
        return self._slot.now.version

    @contextmanager
    def pin(self, x: Any = None) -> Iterator[Snapshot]:
        """One version for several calls: ``with live.pin() as s: s.model.predict(x)``; `s.version` says which.

        Beside a canary it is the version that answers to `x`.  What is called by `s.model` is not counted.
        """
        now = self._slot.now
        yield now if self._beside is None or x is None else self._beside.pick(now, x)

    @property
    def no_worse(self) -> Gate:
        """A gate for the promotion of the canary: it is beyond doubt no worse than what serves, by each guard.

        Raises:
            InvalidInput: `bad-value`, there is no canary.
        """
        if self._beside is None:
            raise InvalidInput("there is no canary", code=Code.BAD_VALUE, hint='live(…, canary="fraud@canary")')
        return self._beside.watch.no_worse

    def observe(self, name: str, value: Any, *, version: str | None = None) -> None:
        """Tell the guards what the application has measured, maybe days later: of `version`, or the one in service."""
        for watch in (self._following.watch, self._beside and self._beside.watch):
            if watch:
                watch.observe(name, value, version or self.version)

    def refresh(self) -> Swap | None:
        """Ask the store now, and follow; what has become of that, or None if nothing has changed.

        What was held back is tried again.

        Raises:
            StoreError: the store failed; what serves goes on.
            Corrupt: `alias-went-backwards` or `journal-broken`; what serves goes on.
        """
        swap = self._following.refreshed()
        if self._beside:
            self._beside.refresh()
        return swap

    def status(self) -> Status:
        """What serves, what the alias points to, and if that is not the same, why."""
        following = self._following
        now, wanted = self._slot.now, following.wanted
        seen = datetime.fromtimestamp(following.seen_at, UTC) if following.seen_at else None
        rejected = {one.version: one.reason for one in following.rejections.all.values()}
        previous = following.previous
        return Status(
            ref=str(following.ref),
            state=following.state,
            reason=following.reason,
            version=now.version,
            digest=now.digest,
            loaded_at=now.loaded_at.isoformat(),
            checked=now.checked,
            environment=list(now.environment),
            wanted=wanted.version,
            alias_seen_at=seen.isoformat() if seen else None,
            rejected=dict(rejected),
            previous=previous.version if previous else None,
            guard=dict(following.watch.status()) if following.watch else None,
            canary=dict(self._beside.status()) if self._beside else None,
        )

    def close(self) -> None:
        """Follow no more.  Calls still go to the version that serves now."""
        if self._beside:
            self._beside.close()
        self._following.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process: the same alias, followed anew."""
        return self._again, ()

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *(name for name in dir(self.model) if not name.startswith("_"))})

    def __repr__(self) -> str:
        return f"<Live {shown(self._following.ref)} {self.version}, {self._following.state}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.status()._repr_mimebundle_()
