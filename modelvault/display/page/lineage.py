"""Where the versions of a model come from: the version before, the data, the code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelvault.display.html import PAGE, Html, table
from modelvault.display.page.shell import section, wide
from modelvault.display.text import Table
from modelvault.reference import Number, is_prerelease
from modelvault.wire import Manifest

__all__ = ["Traces", "after"]

_LEVELS = ("major", "minor", "patch")
_SHORT = 19


class Traces:
    """The data and the code of versions, which are added newest first: each with the versions that came from it."""

    def __init__(self) -> None:
        self._data: dict[tuple[str, str], list[str]] = {}
        self._code: dict[tuple[str, str], list[str]] = {}

    def add(self, manifest: Manifest) -> None:
        """One more version."""
        for ref in manifest.data:
            mark = ref.digest or ref.etag or ref.how
            self._data.setdefault((ref.uri, mark), []).append(manifest.version)
        git = manifest.provenance.git if manifest.provenance else None
        if git:
            commit = git.commit[:12] + (" and changes" if git.dirty else "")
            self._code.setdefault((commit, git.remote or ""), []).append(manifest.version)

    def sections(self) -> Iterator[Html]:
        """Data and code, that of the newest version first."""
        if not (self._data or self._code):
            return
        data = [(uri, mark[:_SHORT], _span(numbers)) for (uri, mark), numbers in self._data.items()]
        code = [(commit, remote, _span(numbers)) for (commit, remote), numbers in self._code.items()]
        views = [Table(("DATA", "FINGERPRINT", "VERSIONS"), data), Table(("COMMIT", "REPOSITORY", "VERSIONS"), code)]
        named = [(name, view) for name, view in zip(("Data", "Code"), views, strict=True) if view.rows]
        yield section("Lineage", *(wide(name, table(view, PAGE)) for name, view in named))


def _span(numbers: Sequence[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{numbers[-1]} to {numbers[0]} ({len(numbers)})"


def after(numbers: Sequence[Number], at: int) -> str:
    """What the number at `at` goes on from, among all numbers, newest first; and how far."""
    number = numbers[at]
    older = (numbers[each] for each in range(at + 1, len(numbers)))
    before = next((one for one in older if is_prerelease(number) or not is_prerelease(one)), None)
    return f"after {before} ({_level(before, number)})" if before else ""


def _level(old: Number, new: Number) -> str:
    pairs = zip(_LEVELS, _triple(old), _triple(new), strict=True)
    return next((level for level, left, right in pairs if left != right), "pre-release")


def _triple(number: Number) -> list[str]:
    return number.partition("+")[0].partition("-")[0].split(".")
