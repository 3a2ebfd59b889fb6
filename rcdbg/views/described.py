"""What a kernel was taken for, and concept by concept what its ELF has of the description."""

import re
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.kernels.recognise import Fit
from rcdbg.model.described.described import (
    Described,
    DescribedConcept,
    DescribedEntry,
    FoundName,
    NearName,
)
from rcdbg.views import palette
from rcdbg.views.common import address, guest, styled
from rcdbg.views.layout import Column, Fitted, Row, hanging, listing, problem_lines

_COLUMNS = (Column(""), Column(""), Column(""))
_INDENT = "    "
_MODULES = re.compile(r"(?:\b\w+::)+")


def view(described: Described) -> RenderableType:
    """All of it."""
    parts: list[RenderableType] = [*_wrapped(_head(described)), *problem_lines(described.problems)]
    for concept in described.concepts:
        if any(entry.asked or entry.near for entry in concept.entries):
            parts += [Text(), styled(f"[{concept.name}]", palette.HEADING), _entries(concept)]
    if described.unsaid:
        text = f"nothing is said of {', '.join(described.unsaid)}"
        parts += [Text(), *_wrapped([styled(text, palette.QUIET)])]
    return Group(*parts)


def _wrapped(lines: Iterable[Text]) -> list[RenderableType]:
    return [Fitted(lambda width, line=line: hanging(line, width)) for line in lines]  # type: ignore[misc]


def _head(described: Described) -> Iterator[Text]:
    line = guest(described.file.name, palette.HEADING).append(": ")
    yield line.append(f"{described.title} ({described.family}): {described.why}")
    if described.profile is not None:
        yield guest(f"with the names in {described.profile}")
    for fit in described.fits:
        yield from _fit(fit, described.family)
    yield Text(f"{described.found} keys found, {described.missing} not found")


def _fit(fit: Fit, family: str) -> Iterator[Text]:
    found, of = len(fit.found), len(fit.found) + len(fit.missing)
    counted = f"{found} of {of} signs, {fit.enough} are enough"
    if fit.family != family:
        signs = f": {', '.join(fit.found)}" if fit.found else ""
        yield guest(f"not taken for {fit.family}: {counted}{signs}", palette.QUIET)
        return
    yield guest(f"found: {', '.join(fit.found) or 'nothing'} ({counted})")
    if fit.missing:
        yield guest(f"missing: {', '.join(fit.missing)}", palette.WARNING)


def _entries(concept: DescribedConcept) -> RenderableType:
    rows = [row for entry in concept.entries for row in _rows(entry)]
    return Fitted(lambda width: listing(_COLUMNS, rows, width, least=24))


def _rows(entry: DescribedEntry) -> Iterator[Row]:
    key = Text(f"  {entry.key}")
    if entry.is_setting:
        yield Row((key, guest(", ".join(entry.asked), palette.VALUE), Text()))
    for found in entry.found:
        yield Row((key, guest(found.asked, palette.SYMBOL), _place(found)))
        key = Text()
    if entry.is_missing and (entry.asked or entry.near):
        why = guest(_short(f"{'not found: ' if entry.asked else ''}{entry.why}"), palette.WARNING)
        more = ", ..." if len(entry.asked) > 1 else ""
        asked = guest("".join(entry.asked[:1]) + more, palette.QUIET)
        yield Row((key, asked, why), tuple(_near(near) for near in entry.near))


def _near(near: NearName) -> Text:
    name = guest(near.text, palette.SYMBOL)
    what = guest(_short(f" ({near.what})"), palette.QUIET)
    return styled(f"{_INDENT}nearest: ", palette.QUIET).append_text(name).append_text(what)


def _short(path: str) -> str:
    """Generic arguments without their modules, and without the allocator of each collection."""
    plain, bracket, arguments = path.replace(", alloc::alloc::Global", "").partition("<")
    return plain + bracket + _MODULES.sub("", arguments)


def _place(found: FoundName) -> Text:
    text = guest(_short(found.path))
    if found.offset is not None:
        text.append(f" +{found.offset}", palette.ADDRESS)
    if found.type is not None:
        text.append(": ").append_text(guest(_short(found.type), palette.QUIET))
    if found.holder is not None:
        text.append(" in ").append_text(guest(found.holder))
    if found.address is not None:
        text.append(", static at " if found.kind == "static" else " at ")
        text.append_text(address(found.address))
    return text
