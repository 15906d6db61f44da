"""What a notebook shows of a vault, its versions, the moves of an alias, a diff.

No request is made to a store, nothing is executed, and no display is longer than 50 kB.  Each comes as text, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from modelvault.diff import Diff
from modelvault.display import evidence, figures, records
from modelvault.display.html import INLINE, ROWS, Html, card, element, lines, more, table
from modelvault.display.records import Published
from modelvault.display.text import Card, Line, Table, rendered
from modelvault.errors import shown
from modelvault.wire import Claim, Manifest, Move

__all__ = ["Aliases", "History", "Versions", "diff", "drill", "explanation", "live", "vault", "version"]

_LIMIT = 50_000
_LINE, _LINES = 400, 120
_FEW = 4_000
_METRICS = 3

Bundle = dict[str, str]
"""By type of media, as IPython takes it."""


class Released(Protocol):
    """What there is to show of a version."""

    @property
    def manifest(self) -> Manifest: ...
    @property
    def claim(self) -> Claim: ...


AnyReleased = TypeVar("AnyReleased", bound=Released)


class Versions(list[AnyReleased]):
    """A list of the versions of a model, newest first, that shows itself."""

    def __repr__(self) -> str:
        return _plain(self._table(self[:ROWS]), len(self) - ROWS)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        measured = [figures.Measured(one.manifest.version, one.manifest.metrics) for one in self]
        count = f"{len(self):,} version{'s' * (len(self) != 1)}"
        title = f"{self[0].manifest.model}: {count}" if self else count
        drawn = figures.metrics(measured, (), INLINE, _METRICS)
        return _bundle(repr(self), title, lambda rows: [drawn, table(self._table(self), INLINE, rows)])

    def _table(self, some: Sequence[AnyReleased]) -> Table:
        view = records.version_table([Published(one.manifest, one.claim, ()) for one in some], {})
        at = view.head.index("ALIASES")  # where they are is not known here
        cut = [(*row[:at], *row[at + 1 :]) for row in view.rows]
        return view._replace(head=[*view.head[:at], *view.head[at + 1 :]], rows=cut)


class History(list[Move]):
    """A list of the moves of an alias, newest first, that shows itself."""

    def __repr__(self) -> str:
        return _plain(records.history_table(self)._replace(picture=None), 0)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        drawn = figures.history(self, (), INLINE) if self else Html("")
        title = f"{self[0].model}@{self[0].alias}" if self else "no moves"
        return _bundle(repr(self), title, lambda rows: [drawn, table(records.history_table(self), INLINE, rows)])


class Aliases(dict[str, Move]):
    """The newest move of each alias of a model, by name, that shows itself."""

    def __repr__(self) -> str:
        return _plain(self._table(), 0)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        title = next((move.model for move in self.values()), "no aliases")
        return _bundle(repr(self), title, lambda rows: [table(self._table(), INLINE, rows)])

    def _table(self) -> Table:
        return records.alias_table(next((move.model for move in self.values()), "the model"), self)


def version(manifest: Manifest, claim: Claim, stale: str = "") -> Bundle:
    """All that was recorded of a version at publish."""
    view = records.version_card(Published(manifest, claim, ()), {})
    view = view._replace(fields=[("stale", [stale] if stale else []), *view.fields])
    return _bundle(_plain(view, 0), view.title, lambda rows: [card(view, INLINE, rows)])


def vault(url: str, known: Mapping[str, str]) -> Bundle:
    """A vault, by what this process has seen of it: `known` says where aliases were."""
    seen: list[Line] = [*known.items()]
    view = Card(f"Vault {shown(url)}", [("models", ["vault.models(), vault.versions(model)"]), ("aliases", seen)])
    return _bundle(f"<Vault {shown(url)}>", view.title, lambda rows: [card(view, INLINE, rows)])


def diff(found: Diff) -> Bundle:
    """What differs between two versions."""
    view = records.diff_table(found)
    return _bundle(_plain(view, 0), f"{found.old} → {found.new}", lambda rows: [table(view, INLINE, rows)])


def live(status: Mapping[str, object]) -> Bundle:
    """The status of a live handle."""
    said = dict(status)
    title = f"{shown(said.pop('ref', 'a model'))} in service"
    guards = [*_guards(said.get("guard")), *_guards(said.get("canary"))]
    view = Card(title, [(shown(name).replace("_", " "), _told(value)) for name, value in said.items()])
    return _bundle(_plain(view, 0), title, lambda rows: [card(view, INLINE, rows), evidence.picture(guards[:rows])])


def explanation(said: Mapping[str, object], text: str, verdicts: Sequence[tuple[str, str]]) -> Bundle:
    """Why an alias was moved; `said` has its `evidence` and its `bound`."""
    view = Card(text.partition("\n")[0], [(label, [words]) for label, words in verdicts])
    ends = text.rpartition("\n")[2]
    drawn = evidence.picture([said] if "bound" in said else [])
    return _bundle(text, shown(view.title), lambda rows: [card(view, INLINE, rows), drawn, element("p", ends)])


def _guards(watched: object) -> Sequence[Mapping[str, object]]:
    found = watched.get("guards") if isinstance(watched, Mapping) else None
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _told(value: object) -> Sequence[Line]:
    if guards := _guards(value):
        assert isinstance(value, Mapping)
        rest = {name: one for name, one in value.items() if name != "guards"}
        return [*evidence.bars(guards), *_told(rest)]
    if isinstance(value, Mapping):
        return [(shown(name), shown(one, 1000)) for name, one in value.items()]
    return [str(one) for one in (value if isinstance(value, list) else [value]) if one not in (None, "")]


def drill(summary: str, rows: Sequence[Sequence[str]]) -> Bundle:
    """The steps of a drill: number, name, result, time, what was measured."""
    view = Table(("#", "STEP", "RESULT", "TIME", "MEASURED"), rows, strong=2)
    plain = "\n".join([shown(summary, _LINE), _plain(view, 0)])
    return _bundle(plain, summary, lambda count: [table(view, INLINE, count)])


def _bundle(plain: str, title: str, parts: Callable[[int], Sequence[Html]]) -> Bundle:
    """The display with as many rows as there is room for."""
    made = ""
    for rows in (ROWS, 20, 5, 1):
        made = element("div", element("div", title, **INLINE("title")), *parts(rows), **INLINE("view")).markup
        if len(made.encode()) <= _LIMIT:
            return {"text/plain": plain, "text/html": made}
    small = element("div", lines(plain, _FEW), **INLINE("view"))
    return {"text/plain": plain, "text/html": small.markup}


def _plain(view: Card | Table, left: int) -> str:
    """`view` as text, of so many lines of so many characters at most; `left` rows are missing in it."""
    said = rendered(view).split("\n") if not isinstance(view, Table) or view.rows else [view.empty]
    left += max(len(said) - _LINES, 0)
    return "\n".join([shown(line, _LINE) for line in said[:_LINES]] + [more(left)] * (left > 0))
