"""The pages of a model: the first tells of all versions and shows the newest, the others show older ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import NamedTuple

from modelvault import reference
from modelvault.blobs import parallel
from modelvault.card import card as model_card
from modelvault.card import split
from modelvault.catalog import Catalog
from modelvault.display import figures
from modelvault.display.html import PAGE, Html, card, element, joined, table
from modelvault.display.page.folder import Folder
from modelvault.display.page.lineage import Traces, after
from modelvault.display.page.prose import prose
from modelvault.display.page.shell import section, shell, wide
from modelvault.display.records import (
    Published,
    alias_table,
    history_table,
    minute,
    size_text,
    version_card,
    version_table,
)
from modelvault.display.text import Table
from modelvault.errors import shown
from modelvault.marks import content_of
from modelvault.progress import Meter
from modelvault.reference import Number
from modelvault.wire import Move, Note

__all__ = ["PER", "Overview", "Row", "write_model"]

PER = 100
"""Versions on a page."""
_CARD = 8_000
"""Bytes of what is told of one version."""
_ALIASES, _MOVES, _METRICS, _REMARKS = 8, 20, 8, 50
_TEXT = 16_000

Histories = Mapping[str, Sequence[Move]]


class Row(NamedTuple):
    """What is remembered of a version when its page has been written."""

    number: Number
    metrics: Mapping[str, float]
    created: datetime
    size: int
    marks: Sequence[str]
    """What speaks against it: yanked, quarantined."""
    words: str
    """What it is found by."""


class Overview(NamedTuple):
    """What is told of a model: its versions, newest first, and its aliases."""

    model: str
    rows: Sequence[Row]
    aliases: Mapping[str, Move]
    state: datetime
    """The instant of the newest record."""

    @property
    def latest(self) -> Row:
        """The version that ``*`` means; where there is none, the newest."""
        stable = (row for row in self.rows if not (row.marks or reference.is_prerelease(row.number)))
        return next(stable, self.rows[0])


class _Read(NamedTuple):
    """What was gathered while the versions of a model went by."""

    rows: list[Row]
    remarks: list[Note]
    traces: Traces
    told: list[Published]
    """The newest version, then the one that ``*`` means: the last of them is the one whose card is shown."""


class _Remarked(NamedTuple):
    """Of what something was said since: numbers that have notes, contents, in hex, that have marks."""

    numbers: set[str]
    contents: set[str]


def write_model(folder: Folder, catalog: Catalog, model: str, numbers: Sequence[Number], meter: Meter) -> Overview:
    """Write the pages of `model`, whose versions have these `numbers`.

    Raises:
        Corrupt: a record is damaged.
    """
    names = catalog.aliases(model)
    histories = {name: catalog.journal(model, name).entries() for name in names}
    heads = {name: moves[0] for name, moves in histories.items()}
    read = _Read([], [], Traces(), [])
    remarked = _Remarked(catalog.noted(model), catalog.marked(model))
    first = Html("")
    for begin in range(0, len(numbers), PER):
        found = parallel(lambda number: _published(catalog, model, number, remarked), numbers[begin : begin + PER])
        made = _versions(model, found, heads, numbers, begin // PER + 1)
        _gather(read, found, heads)
        meter.add(len(found))
        if begin:
            _write_older(folder, model, made, begin // PER + 1)
        else:
            first = made
    state = max([*(row.created for row in read.rows), *(move.at for move in heads.values()), *_instants(read.remarks)])
    overview = Overview(model, read.rows, heads, state)
    body = [_summary(overview), *_aliases(overview, histories, read), *_told(overview, read), first]
    folder.put(f"models/{model}.html", shell(model, "../", *body, state=minute(state)))
    return overview


def _instants(notes: Sequence[Note]) -> Iterator[datetime]:
    return (note.at for note in notes)


def _published(catalog: Catalog, model: str, number: Number, remarked: _Remarked) -> Published:
    claim = catalog.claim(model, number)
    manifest = catalog.manifest(model, claim.target)
    notes = catalog.notes(model, number).entries() if number in remarked.numbers else []
    content = content_of(manifest) if remarked.contents else ""
    if content.partition(":")[2] in remarked.contents:
        marks = [note.model_copy(update={"version": number}) for note in catalog.marks(model, content).entries()]
        notes = [*merge(notes, marks, key=lambda note: note.at, reverse=True)]
    return Published(manifest, claim, notes)


def _gather(read: _Read, found: Sequence[Published], heads: Mapping[str, Move]) -> None:
    for one in found:
        manifest, claim = one.manifest, one.claim
        number = Number(manifest.version)
        marks = [*one.pointing(heads), *one.marks]
        words = shown(" ".join([*marks, claim.actor, manifest.notes.partition("\n")[0]]), 80)
        read.rows.append(Row(number, dict(manifest.metrics), claim.created, manifest.size, one.marks, words))
        read.remarks.extend(one.notes)
        read.traces.add(manifest)
        if not read.told or (not _is_latest(read.told[-1]) and _is_latest(one)):
            read.told.append(one)


def _is_latest(one: Published) -> bool:
    return not (one.marks or reference.is_prerelease(Number(one.manifest.version)))


def _write_older(folder: Folder, model: str, made: Html, page: int) -> None:
    title = f"{model}: older versions, page {page}"
    back = element("p", element("a", f"All of {model}", href=f"../../models/{model}.html"))
    folder.put(f"older/{model}/{page}.html", shell(title, "../../", back, made))


def _summary(overview: Overview) -> Html:
    latest = overview.latest
    count = len(overview.rows)
    said = f"{count:,} version{'s' * (count > 1)}. Latest {latest.number}, {minute(latest.created)}, {size_text(latest.size)}."
    return element("p", said, class_="lead")


def _aliases(overview: Overview, histories: Histories, read: _Read) -> Iterator[Html]:
    if not overview.aliases:
        return
    by_time = sorted(overview.aliases, key=lambda name: (-overview.aliases[name].at.timestamp(), name))
    some = [_alias(histories[name], read.remarks) for name in by_time[:_ALIASES]]
    whole = table(alias_table(overview.model, overview.aliases), PAGE)
    yield section("Aliases", wide("Aliases", whole), *some)


def _alias(moves: Sequence[Move], remarks: Sequence[Note]) -> Html:
    name = f"{moves[0].model}@{moves[0].alias}"
    rows = history_table(moves)
    listed = element(
        "details", element("summary", f"The moves of {name}"), wide(f"Moves of {name}", table(rows, PAGE, _MOVES))
    )
    return joined([element("h3", name), figures.history(moves, remarks, PAGE), listed])


def _told(overview: Overview, read: _Read) -> Iterator[Html]:
    measured = [figures.Measured(row.number, row.metrics) for row in overview.rows]
    marked = [move.version for move in overview.aliases.values() if move.version]
    drawn = figures.metrics(measured, [*measured[0].metrics][:_METRICS], marked, PAGE)
    if drawn.markup:
        yield section("Metrics", drawn)
    one = read.told[-1]
    _, said = split(model_card(one.manifest, one.claim, one.notes))
    yield section("Model card", prose(said, _TEXT))
    if read.remarks:
        newest = sorted(read.remarks, key=lambda note: (note.at, note.version, note.seq), reverse=True)
        rows = [(note.version, note.kind, minute(note.at), note.actor, note.text) for note in newest]
        view = Table(("VERSION", "KIND", "WHEN", "BY", "NOTE"), rows)
        yield section("Notes", wide("Notes", table(view, PAGE, _REMARKS)))
    yield from read.traces.sections()


def _versions(
    model: str, found: Sequence[Published], heads: Mapping[str, Move], numbers: Sequence[Number], page: int
) -> Html:
    view = version_table(found, heads)
    rows = [(_link(str(row[0])), *row[1:]) for row in view.rows]
    whole = table(view._replace(rows=rows), PAGE, PER)
    begin = (page - 1) * PER
    details = [_details(one, heads, after(numbers, begin + at)) for at, one in enumerate(found)]
    last = -(-len(numbers) // PER)
    above, below = (_pager(model, page, last, where) if last > 1 else Html("") for where in ("above", "below"))
    title = "Versions" if last == 1 else f"Versions {begin + 1:,} to {begin + len(found):,} of {len(numbers):,}"
    return joined([section(title, above, wide("Versions", whole)), section("Details", *details, below)])


def _link(number: str) -> Html:
    return element("a", number, href=f"#{number}")


def _details(one: Published, heads: Mapping[str, Move], before: str) -> Html:
    number = one.manifest.version
    view = version_card(one, heads)
    view = view._replace(fields=[("lineage", [before] if before else []), *view.fields])
    made = next((said for rows in (20, 3) if len((said := card(view, PAGE, rows)).markup.encode()) <= _CARD), None)
    told = made or element("p", f"Too much to show here: modelvault show {view.title}")
    return element("details", element("summary", number), element("div", told, id=number))


def _pager(model: str, page: int, last: int, where: str) -> Html:
    """Links to the first pages, to those around this one, and to the last ones."""
    pages = sorted({*range(1, 3), *range(page - 2, page + 3), *range(last - 1, last + 1)} & {*range(1, last + 1)})
    root = "" if page == 1 else "../../models/"
    older = f"../older/{model}/" if page == 1 else ""
    items: list[Html] = []
    for before, each in zip([0, *pages], pages, strict=False):
        items += [element("li", "…")] if each > before + 1 else []
        href = f"{root}{model}.html" if each == 1 else f"{older}{each}.html"
        items.append(element("li", element("a", each, href=href, aria_current="page" if each == page else None)))
    return element("nav", element("ol", *items), aria_label=f"Pages of versions, {where}", class_="pages")
