"""Gates by name: what a policy can hold, and a command can spell."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelvault.errors import Code, InvalidInput, shown
from modelvault.gates import contract
from modelvault.gates.proposal import Gate, Proposal, Verdict
from modelvault.wire import GateRule, JsonValue, record

__all__ = ["KNOWN", "Named", "made", "maker", "rule", "spelled"]

_LONGEST = 1_000


@dataclass(frozen=True, slots=True, repr=False)
class Named:
    """A gate that can be told: a name, and what it was made with."""

    name: str
    arguments: Mapping[str, JsonValue]
    ask: Callable[[Proposal], Verdict]

    def __call__(self, proposal: Proposal, /) -> Verdict:
        """The move may be made."""
        return self.ask(proposal)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


def _plain(gate: Gate) -> Callable[[], Gate]:
    return lambda: gate


PLAIN: dict[str, Gate] = {
    "signature": contract.signature,
    "compatible": contract.compatible,
    "rollback_safe": contract.rollback_safe,
}
KNOWN: dict[str, Callable[..., Gate]] = {name: _plain(gate) for name, gate in PLAIN.items()}
"""What makes a gate, by its name: what a release does not know by name, it cannot judge."""


def maker(make: Callable[..., Callable[[Proposal], Verdict]]) -> Callable[..., Named]:
    """Makes a function that takes arguments and gives a check one that gives a gate with a name, that of the function."""
    asked = inspect.signature(make)

    def named(*given: Any, **by_name: Any) -> Named:
        check = make(*given, **by_name)
        bound = asked.bind(*given, **by_name)
        bound.apply_defaults()
        return Named(make.__name__, dict(bound.arguments), check)

    named.__name__, named.__doc__, named.__annotations__ = make.__name__, make.__doc__, {}
    named.__signature__ = asked.replace(return_annotation=inspect.Signature.empty)  # type: ignore[attr-defined]
    KNOWN[make.__name__] = named
    return named


def made(name: str, arguments: Mapping[str, Any]) -> Gate:
    """The gate of that name, made with these arguments.

    Raises:
        InvalidInput: `bad-value`, there is none, or it takes others.
    """
    if name not in KNOWN:
        raise InvalidInput(
            f"no gate is called {shown(name)!r} here", code=Code.BAD_VALUE, hint=f"one of {', '.join(sorted(KNOWN))}"
        )
    return _called(name, (), arguments)


def rule(gate: Gate) -> GateRule:
    """How a policy holds `gate`.

    Raises:
        InvalidInput: `bad-value`, it has no name that others know.
    """
    if isinstance(gate, Named):
        return record(GateRule, gate=gate.name, arguments=dict(gate.arguments))
    for name, plain in PLAIN.items():
        if gate is plain:
            return record(GateRule, gate=name)
    raise InvalidInput(
        "a policy holds gates by name: it is read where your function is not",
        code=Code.BAD_VALUE,
        hint=f"gates of modelvault.gates: {', '.join(sorted(KNOWN))}",
    )


def spelled(text: str) -> Gate:
    """The gate that a text such as ``no_worse(auc, tolerance=0.01)`` spells.

    Raises:
        InvalidInput: `bad-value`.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body if len(text) <= _LONGEST else None
        call = ast.Call(node, [], []) if isinstance(node, ast.Name) else node
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KNOWN:
            by_name = {one.arg or "**": _word(one.value) for one in call.keywords}
            return _called(call.func.id, tuple(map(_word, call.args)), by_name)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
    raise InvalidInput(
        f"{shown(text)} spells no gate",
        code=Code.BAD_VALUE,
        hint=f"such as 'no_worse(auc, tolerance=0.01)'; gates: {', '.join(sorted(KNOWN))}",
    )


def _word(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _called(name: str, given: tuple[Any, ...], by_name: Mapping[str, Any]) -> Gate:
    try:
        inspect.signature(KNOWN[name]).bind(*given, **by_name)
    except TypeError as error:
        raise InvalidInput(f"the gate {name}: {shown(error)}", code=Code.BAD_VALUE) from error
    return KNOWN[name](*given, **by_name)
