"""Expressions such as ``metrics.auc > 0.9 and alias == 'prod'``, as conditions of SQL.

    expression  all ("or" all)*
    all         term ("and" term)*
    term        "not" term | "(" expression ")" | comparison
    comparison  field [operator literal] | literal operator field | literal ["not"] "in" field
                | field ["not"] "in" "(" literal ("," literal)* ")"
    field       a name: ``metrics.auc``, ``metrics["p99 ms"]``
    literal     a number, a text in quotes, true, false

The condition is made of constants of this module; what was typed is in its parameters alone.  Two-valued: what is not
recorded is equal to nothing, and neither more nor less than anything.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, NoReturn

from modelvault import reference
from modelvault.canonical import storable
from modelvault.errors import Code, InvalidInput, shown
from modelvault.search.values import instant, natural, number_of, precedence

__all__ = ["FIELDS", "Wanted", "parsed"]

LENGTH: Final = 4_000
"""Characters of an expression."""
DEPTH: Final = 20
"""Of parentheses and negations."""

FIELDS: Final = {
    "model": "text", "version": "version", "alias": "text", "created": "time", "actor": "text", "format": "text", "size": "number",
    "digest": "text", "notes": "text", "algorithm": "text", "python": "text", "platform": "text", "file": "text",
    "data.uri": "text", "data.digest": "text", "git.commit": "text", "git.remote": "text", "git.dirty": "flag",
    "metrics.": "number", "params.": "any", "packages.": "release",
}  # fmt: skip
"""What can be asked for, and what it is compared with; a point at the end stands for any name."""

_TOKEN: Final = re.compile(
    r"""(?P<number>[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(?![\w.])
      |(?P<text>'[^']*'|"[^"]*")
      |(?P<name>[A-Za-z_]\w*(?:\.[\w-]+|\[(?:'[^']*'|"[^"]*")\])*)
      |(?P<sign>==|!=|<=|>=|<|>|\(|\)|,)""",
    re.VERBOSE,
)
_STEP: Final = re.compile(r"""\.([\w-]+)|\[(?:'([^']*)'|"([^"]*)")\]""")
_SPACE: Final = re.compile(r"\s*")
_WORDS: Final = {"and", "or", "not", "in", "true", "false"}
_COMPARED: Final = {"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}

_FACT: Final = "id IN (SELECT version FROM fact WHERE name = ? AND "


class Clause(NamedTuple):
    """A condition, its parameters, and the only models that it can be true of, if it says so."""

    sql: str
    values: tuple[Any, ...]
    models: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for.  `aliases` says whether it matters where they point."""

    where: Clause
    aliases: bool
    limit: int | None


class Token(NamedTuple):
    """A word of an expression, and where it stands, from 0."""

    kind: str
    text: str
    at: int


def parsed(expression: str, limit: int | None = None) -> Wanted:
    """An expression as a condition.

    Raises:
        InvalidInput: `bad-value`, with the position of what is wrong.
    """
    if limit is not None and (type(limit) is not int or not 0 < limit < 2**31):
        raise InvalidInput("limit is a number from 1 on", code=Code.BAD_VALUE)
    text = storable(expression, "an expression")
    if len(text) > LENGTH:
        raise InvalidInput(f"an expression has at most {LENGTH} characters", code=Code.BAD_VALUE)
    parser = _Parser(text, _tokens(text))
    where = parser.any()
    if parser.next.kind != "end":
        parser.fail("'and' or 'or' is expected")
    return Wanted(where, parser.aliases, limit)


def _tokens(text: str) -> list[Token]:
    tokens, at = list[Token](), _after_space(text, 0)
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _wrong(text, at, "this is no word of an expression", "texts stand in quotes: alias == 'prod'")
        kind = str(found.lastgroup)
        word = found[0]
        tokens.append(Token("word" if kind == "name" and word in _WORDS else kind, word, at))
        at = _after_space(text, found.end())
    return [*tokens, Token("end", "", len(text))]


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


@dataclass
class _Parser:
    text: str
    tokens: list[Token]
    place: int = 0
    depth: int = 0
    aliases: bool = field(default=False)

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def fail(self, what: str, hint: str = "", at: Token | None = None) -> NoReturn:
        raise _wrong(self.text, (at or self.next).at, what, hint)

    def taken(self, *texts: str) -> str:
        """The next token, if it is one of these words or signs, and then it is behind us; else nothing."""
        found = self.next
        if found.kind not in {"word", "sign"} or found.text not in texts:
            return ""
        self.place += 1
        return found.text

    def any(self) -> Clause:
        return self._joined("or", self.all, lambda one, other: one | other)

    def all(self) -> Clause:
        return self._joined("and", self.term, lambda one, other: one & other)

    def _joined(
        self, word: str, part: Callable[[], Clause], both: Callable[[frozenset[str], frozenset[str]], frozenset[str]]
    ) -> Clause:
        parts = [part()]
        while self.taken(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        models = parts[0].models
        for one in parts[1:]:
            if models is None or one.models is None:
                models = None if word == "or" else models if one.models is None else one.models
            else:
                models = both(models, one.models)
        sql = f" {word.upper()} ".join(one.sql for one in parts)
        return Clause(f"({sql})", tuple(value for one in parts for value in one.values), models)

    def term(self) -> Clause:
        self.depth += 1
        if self.depth > DEPTH:
            self.fail(f"more than {DEPTH} levels of parentheses and negations")
        if self.taken("not"):
            found = _negated(self.term())
        elif self.taken("("):
            found = self.any()
            if not self.taken(")"):
                self.fail("')' is expected")
        else:
            found = self.comparison()
        self.depth -= 1
        return found

    def comparison(self) -> Clause:
        at = self.next
        if at.kind != "name":
            value = self.literal()
            negated = bool(self.taken("not"))
            if self.taken("in"):
                found = self._within(self.name(), value, at)
                return _negated(found) if negated else found
            sign = self.taken(*_COMPARED, "!=")
            if negated or not sign:
                self.fail("a comparison is expected", "such as metrics.auc > 0.9, or 'shop' in notes")
            return self.compared(self.name(), _MIRRORED.get(sign, sign), value, at)
        name = self.name()
        sign = self.taken(*_COMPARED, "!=")
        if sign:
            at = self.next
            return self.compared(name, sign, self.literal(), at)
        negated = bool(self.taken("not"))
        if self.taken("in"):
            found = self._one_of(name)
            return _negated(found) if negated else found
        if negated:
            self.fail("'in' is expected")
        return Clause(f"{_FACT}value != 'false')", (name,))

    def _one_of(self, name: str) -> Clause:
        if not self.taken("("):
            self.fail("'(' is expected", "a list: model in ('fraud', 'price')")
        parts = list[Clause]()
        while not parts or self.taken(","):
            at = self.next
            parts.append(self.compared(name, "==", self.literal(), at))
        if not self.taken(")"):
            self.fail("',' or ')' is expected")
        models = frozenset(str(one.values[1]) for one in parts) if name == "model" else None
        marks = ", ".join("?" * len(parts))
        return Clause(f"{_FACT}value IN ({marks}))", (name, *(one.values[1] for one in parts)), models)

    def _within(self, name: str, value: object, at: Token) -> Clause:
        if not isinstance(value, str):
            self.fail("only a text can be looked for in another", at=at)
        return Clause(f"{_FACT}value >= '' AND instr(value, ?) > 0)", (name, value))

    def name(self) -> str:
        at = self.next
        if at.kind != "name":
            self.fail("a name is expected", _KNOWN)
        self.place += 1
        base = re.split(r"[.\[]", at.text, maxsplit=1)[0]
        steps = [next(filter(None, found), "") for found in _STEP.findall(at.text[len(base) :])]
        name = ".".join([base, *steps])
        if _kind(name) is None:
            near = get_close_matches(name, FIELDS, 1)
            hint = (
                f"did you mean {near[0]}…?"
                if near and near[0].endswith(".")
                else f"did you mean {near[0]}?"
                if near
                else ""
            )
            self.fail(f"there is no '{shown(name)}'", hint or _KNOWN, at)
        self.aliases |= name == "alias"
        return name

    def literal(self) -> object:
        found = self.next
        self.place += 1
        match found.kind, found.text:
            case "number", text:
                return number_of(float(text) if re.search(r"[.eE]", text) else int(text))
            case "text", text:
                return text[1:-1]
            case "word", "true" | "false":
                return found.text == "true"
            case _:
                return self.fail("a number or a text in quotes is expected", "such as alias == 'prod'", found)

    def compared(self, name: str, sign: str, value: object, at: Token) -> Clause:
        """A field against a literal of its kind."""
        if sign == "!=":
            return _negated(self.compared(name, "==", value, at))
        kind = _kind(name)
        ordered = sign != "=="
        if isinstance(value, bool):
            if kind not in {"any", "flag"} or ordered:
                self.fail(f"'{shown(name)}' is not true or false", at=at)
            value = "true" if value else "false"
        elif kind == "flag" or (kind != "any" and (kind == "number") == isinstance(value, str)):
            self.fail(f"'{shown(name)}' is compared with {_LITERALS[str(kind)]}", at=at)
        if isinstance(value, str):
            try:
                name, value = _spelt(name, str(kind), value, ordered=ordered)
            except ValueError as error:
                self.fail(shown(error), at=at)
        if not ordered:
            models = frozenset({str(value)}) if name == "model" else None
            return Clause(f"{_FACT}value = ?)", (name, value), models)
        same = "value >= ''" if isinstance(value, str) else "value < ''"  # of SQLite's values, texts follow all numbers
        return Clause(f"{_FACT}value {_COMPARED[sign]} ? AND {same})", (name, value))


_LITERALS: Final = {"number": "a number", "flag": "true or false", "any": "a number or a text"} | dict.fromkeys(
    ("text", "version", "time", "release"), "a text in quotes"
)
_KNOWN: Final = "names: " + ", ".join(f"{name}…" if name.endswith(".") else name for name in FIELDS)


def _kind(name: str) -> str | None:
    base, point, rest = name.partition(".")
    return FIELDS.get(name) or (FIELDS.get(base + point) if rest else None)


def _negated(clause: Clause) -> Clause:
    return Clause(f"NOT {clause.sql}", clause.values)


def _spelt(name: str, kind: str, text: str, *, ordered: bool) -> tuple[str, str]:
    """Name and value of the fact that a text is compared with; ValueError if it is none of its kind."""
    match kind:
        case "version":
            if not reference.is_number(text):
                raise ValueError(f"'{shown(text)}' is no version: three numbers, such as '1.4.0'")
            return ("version order", precedence(text)) if ordered else (name, text)
        case "release" if ordered:
            return f"{name} order", natural(text)
        case "time":
            return name, _instant(text)
    return name, text


def _instant(text: str) -> str:
    """A time as it is recorded; a date is its first moment, UTC."""
    try:
        at = datetime.fromisoformat(text)
        at = (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"'{shown(text)}' is no time: '2026-11-01', or '2026-11-01T12:00Z'") from None
    return instant(at)


def _wrong(text: str, at: int, what: str, hint: str) -> InvalidInput:
    where = f"at character {at + 1}" if at < len(text) else "at the end"
    near = f", before '{shown(text[at : at + 20])}'" if at < len(text) else ""
    return InvalidInput(f"the expression is wrong {where}{near}: {what}", code=Code.BAD_VALUE, hint=hint)
