"""The timeline of a trace as an SVG picture, for documents and browsers.

Colours are never alone: what a thread does differs in height as well, marks differ in shape, and
each has a title that a browser shows. The picture stays bounded however long the trace is.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from rcdbg.escape import safe
from rcdbg.trace.analysis.timeline import Doing, Mark, ThreadRow, Timeline
from rcdbg.views.trace.axis import axis_marks, duration, instant
from rcdbg.views.trace.drawings import Sort, sort_of
from rcdbg.views.trace.marks import in_cells, shares, used

WIDTH = 1200
MAX_ROWS = 100
_MARGIN = 20
_LABEL = 92
_TOP = 62
_ROW = 46
_BAR = 18
_MARK_STEP = 6
"""Pixels that one mark takes; of those in the same place the most telling is drawn."""
_MANY = 1500
_MAX_TEXT = 160

_RUN, _READY, _ASLEEP = "#0072B2", "#56B4E9", "#CC79A7"
_INK, _QUIET, _GRID = "#1a1a1a", "#555555", "#dddddd"
_FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"

_SHAPES = {
    "triangle": "M0,-4.5 L4,3 L-4,3 Z",
    "triangle-down": "M0,4.5 L4,-3 L-4,-3 Z",
    "diamond": "M0,-4.5 L4.5,0 L0,4.5 L-4.5,0 Z",
    "square": "M-3.5,-3.5 H3.5 V3.5 H-3.5 Z",
    "cross": "M-4.5,-3 L-3,-4.5 L0,-1.5 L3,-4.5 L4.5,-3 L1.5,0 L4.5,3 L3,4.5 L0,1.5 L-3,4.5 "
    "L-4.5,3 L-1.5,0 Z",
    "plus": "M-1.3,-4.5 H1.3 V-1.3 H4.5 V1.3 H1.3 V4.5 H-1.3 V1.3 H-4.5 V-1.3 H-1.3 Z",
    "dot": "M-2,0 A2,2 0 1 0 2,0 A2,2 0 1 0 -2,0 Z",
}


def svg(timeline: Timeline, width: int = WIDTH) -> str:
    """The picture: XML that is valid whatever texts are in the trace."""
    return "\n".join(_picture(timeline, max(400, width))) + "\n"


def _picture(timeline: Timeline, width: int) -> Iterator[str]:
    rows = timeline.rows[:MAX_ROWS]
    left, right = _MARGIN + _LABEL, width - _MARGIN
    bottom = _TOP + _ROW * max(1, len(rows))
    legend = list(_legend(timeline, left, right, bottom + 52))
    notes = list(timeline.notes)
    if left_out := len(timeline.rows) - len(rows):
        notes.append(f"{left_out} more threads are not drawn")
    height = bottom + 52 + (legend[-1][0] if legend else 0) + (42 if notes else 22)
    header = timeline.header
    title = f"{header.kernel or 'kernel'} {header.append}".strip()
    span = timeline.end - timeline.start
    length = f"{duration(span, header.timebase_hz)}, " if timeline.axis == "ticks" else ""
    about = f"{length}{timeline.events:,} events, recorded by {header.backend}"
    about += " in real time, slowed down by that" if header.disturbed else ""
    yield (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
           f"width='{width}' height='{height}' role='img' {_FONT} font-size='12'>")  # fmt: skip
    yield f"<title>{_text(f'Timeline of {title}')}</title>"
    yield f"<desc>{_text(f'Which thread ran when; {about}')}</desc>"
    yield f"<rect width='{width}' height='{height}' fill='#ffffff'/>"
    yield "<defs>"
    for sort in used(timeline):
        yield f"<path id='m-{sort.name}' d='{_SHAPES[sort.shape]}' fill='{sort.fill}'/>"
    yield "</defs>"
    yield _label(_MARGIN, 26, title, size=16, weight="bold")
    yield _label(_MARGIN, 44, about, fill=_QUIET)
    yield from _grid(timeline, left, right, bottom)
    for number, row in enumerate(rows):
        top = _TOP + number * _ROW
        yield _label(_MARGIN, top + _BAR - 5, row.name)
        yield f"<g transform='translate({left},{top})'>"
        yield from _slices(timeline, row, right - left)
        yield from _marks(timeline, row, right - left)
        yield "</g>"
    yield from (line for _, line in legend)
    if notes:
        yield _label(_MARGIN + _LABEL, height - 14, "; ".join(notes), fill=_QUIET, size=11)
    yield "</svg>"


def _text(text: str) -> str:
    """Text for XML: nothing in it is markup, nor a character that XML forbids."""
    shown = safe(text)
    return escape(shown if len(shown) <= _MAX_TEXT else f"{shown[:_MAX_TEXT]}…")


def _label(x: float, y: float, text: str, *, fill: str = _INK, size: int = 12,
           weight: str = "normal", anchor: str = "start") -> str:  # fmt: skip
    return (f"<text x='{x:g}' y='{y:g}' fill='{fill}' font-size='{size}' font-weight='{weight}' "
            f"text-anchor='{anchor}'>{_text(text)}</text>")  # fmt: skip


def _grid(timeline: Timeline, left: int, right: int, bottom: int) -> Iterator[str]:
    for at, text in axis_marks(timeline, (right - left) // 100):
        x = left + _x(timeline, at, right - left)
        yield (f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{_TOP - 8}' y2='{bottom}' "
               f"stroke='{_GRID}'/>")  # fmt: skip
        anchor = "end" if x > right - 30 else "start" if x < left + 30 else "middle"
        yield _label(x, bottom + 14, text, fill=_QUIET, size=11, anchor=anchor)
    yield f"<line x1='{left}' x2='{right}' y1='{bottom}' y2='{bottom}' stroke='{_QUIET}'/>"


def _x(timeline: Timeline, at: int, width: int) -> float:
    return (at - timeline.start) * width / (timeline.end - timeline.start)


def _slices(timeline: Timeline, row: ThreadRow, width: int) -> Iterator[str]:
    if len(row.slices) > _MANY:
        yield from _shaded(timeline, row, width)
        return
    for piece in row.slices:
        x = _x(timeline, piece.start, width)
        wide = max(0.6, _x(timeline, piece.end, width) - x)
        told = _stretch(timeline, piece.start, piece.end)
        why = f", then {piece.why}" if piece.why else ""
        words = f"{row.name} {_WORDS[piece.doing]} {told}{why}"
        yield _bar(x, wide, piece.doing, words)


_WORDS: dict[Doing, str] = {"run": "runs", "ready": "is ready", "asleep": "sleeps"}


def _stretch(timeline: Timeline, start: int, end: int) -> str:
    hz = timeline.header.timebase_hz
    if timeline.axis == "events":
        return f"from event {start} to {end}"
    return f"{duration(end - start, hz)} from {instant(start, hz)} ms"


def _bar(x: float, wide: float, doing: Doing, words: str = "", opacity: float = 1.0) -> str:
    title = f"<title>{_text(words)}</title>" if words else ""
    shade = f" fill-opacity='{opacity:.2f}'" if opacity < 1 else ""
    y, tall, fill = {"run": (0, _BAR, _RUN), "ready": (7, 4, _READY),
                     "asleep": (8.5, 1.5, _ASLEEP)}[doing]  # fmt: skip
    return (f"<rect x='{x:.2f}' y='{y}' width='{wide:.2f}' height='{tall}' fill='{fill}'{shade}>"
            f"{title}</rect>")  # fmt: skip


def _shaded(timeline: Timeline, row: ThreadRow, width: int) -> Iterator[str]:
    """Where there are more slices than pixels: each pixel as dark as the thread was busy."""
    for x, share in enumerate(shares(timeline, row, width)):
        if part := share.get("run"):
            yield _bar(x, 1, "run", opacity=max(0.15, round(part, 2)))
        elif share:
            yield _bar(x, 1, max(share, key=lambda doing: share[doing]))


def _marks(timeline: Timeline, row: ThreadRow, width: int) -> Iterator[str]:
    cells = width // _MARK_STEP
    for _, marks in sorted(in_cells(timeline, row.marks, cells).items()):
        first = marks[0]
        x = _x(timeline, first.at, width)
        title = _text(_told(timeline, marks))
        yield (f"<use href='#m-{sort_of(first).name}' x='{x:.1f}' y='{_BAR + 9}'>"
               f"<title>{title}</title></use>")  # fmt: skip


def _told(timeline: Timeline, marks: list[Mark]) -> str:
    first = marks[0]
    at = ""
    if timeline.axis == "ticks":
        at = f" at {instant(first.at, timeline.header.timebase_hz)} ms"
    what = first.text if first.text == first.kind else f"{first.kind}: {first.text}"
    more = f", and {len(marks) - 1} more here" if len(marks) > 1 else ""
    return f"{what}{at} (event {first.seq}){more}"


def _legend(timeline: Timeline, left: int, right: int, top: int) -> Iterator[tuple[int, str]]:
    """Entries, each with how far below the legend's first line it is."""
    doing = {piece.doing for row in timeline.rows for piece in row.slices}
    entries: list[tuple[str, Sort | Doing]] = [(_WORDS[d], d) for d in _WORDS if d in doing]
    entries += [(sort.words, sort) for sort in used(timeline)]
    x, down = left, 0
    for words, what in entries:
        wide = 40 + round(6.9 * len(words))
        if x + wide > right and x > left:
            x, down = left, down + 20
        yield down, _key(x, top + down, words, what)
        x += wide


def _key(x: int, y: int, words: str, what: Sort | Doing) -> str:
    if isinstance(what, Sort):
        drawn = f"<use href='#m-{what.name}' x='{x + 8}' y='{y - 4}'/>"
    else:
        drawn = f"<g transform='translate({x},{y - 13})'>{_bar(0, 18, what)}</g>"
    return drawn + _label(x + (16 if isinstance(what, Sort) else 24), y, words)
