"""The options of a live handle, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelvault.errors import Code, InvalidInput, shown
from modelvault.serving.events import Hook
from modelvault.serving.guards import Guard
from modelvault.signature import Signature, signature

__all__ = ["Options", "checked"]

_LONGEST = 1e9
_CHOICES = {"env": ("strict", "warn", "off"), "offline": ("last-good", "fail")}


@dataclass(frozen=True, slots=True)
class Options:
    """See `Vault.live`.  `expects` is a signature, or the digest of a contract."""

    refresh: float | Literal["lazy"] | None
    timeout: float
    guard: tuple[Any, ...]
    expects: Signature | str | None
    warmup: bool
    check: bool
    isolate: bool | None
    env: str
    keep_previous: bool | None
    offline: str
    hooks: tuple[Hook, ...]


def checked(
    *,
    refresh: object,
    timeout: object,
    guard: object,
    expects: object,
    warmup: object,
    check: object,
    isolate: object,
    env: object,
    keep_previous: object,
    offline: object,
    on_event: object,
) -> Options:
    """The options, if they are good.

    Raises:
        InvalidInput: `bad-value`.
    """
    for name, flag, some in (
        ("warmup", warmup, (bool,)),
        ("check", check, (bool,)),
        ("isolate", isolate, (bool, type(None))),
        ("keep_previous", keep_previous, (bool, type(None))),
    ):
        if type(flag) not in some:
            raise _bad(name, flag, "True or False" + (", or None" if type(None) in some else ""))
    return Options(
        refresh=refresh if refresh is None or _is(refresh, "lazy") else _seconds("refresh", refresh),  # type: ignore[arg-type] # it is "lazy"
        timeout=_seconds("timeout", timeout),
        guard=(guard,) if isinstance(guard, Guard) else _several("guard", guard),
        expects=_contract(expects),
        warmup=warmup is True,
        check=check is True,
        isolate=isolate,  # type: ignore[arg-type] # looked at above
        env=_choice("env", env),
        keep_previous=keep_previous,  # type: ignore[arg-type] # looked at above
        offline=_choice("offline", offline),
        hooks=_hooks(on_event),
    )


def _is(value: object, text: str) -> bool:
    return type(value) is str and value == text


def _seconds(name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LONGEST:
        return float(value)
    raise _bad(name, value, "a number of seconds")


def _choice(name: str, value: object) -> str:
    for choice in _CHOICES[name]:
        if _is(value, choice):
            return choice
    raise _bad(name, value, " or ".join(map(repr, _CHOICES[name])))


def _several(name: str, value: object) -> tuple[Any, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(value)
    raise _bad(name, value, "a list")


def _hooks(value: object) -> tuple[Hook, ...]:
    hooks = () if value is None else (value,) if callable(value) else _several("on_event", value)
    for hook in hooks:
        if not callable(hook):
            raise _bad("on_event", hook, "a function that takes an event, or a list of such")
    return tuple(hooks)


def _contract(value: object) -> Signature | str | None:
    if value is None or (type(value) is str and value.startswith("sha256:") and len(value) == len("sha256:") + 64):
        return value
    return signature(value)


def _bad(name: str, value: object, what: str) -> InvalidInput:
    given = f"'{shown(value)}'" if type(value) is str else f"a {shown(type(value).__qualname__)}"
    return InvalidInput(f"{name} is {given}, not {what}", code=Code.BAD_VALUE)
