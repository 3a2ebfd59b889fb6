"""What a failed test tells of its kernel: events, where it stands, threads, trap, files."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rcdbg.errors import RcdbgError
from rcdbg.escape import safe_lines
from rcdbg.model.programs.explained import place_now
from rcdbg.model.state import Place, StackFrame
from rcdbg.testing.sources import own_folder, read_source
from rcdbg.trace.run import describe
from rcdbg.trace.story.keeping import header_of, save_snapshot, save_trace
from rcdbg.trace.story.story import Story

WIDTH = 100
_EVENT_WIDTH = 160
_EVENTS = 10
_CONSOLE_LINES = 4
_CALLS = 8
_LINES_AROUND = 2


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that was kept: what it is, where, and the command that opens it."""

    what: str
    path: Path
    command: str


def report(story: Story, saved: list[Saved], sources: Sequence[Path] = ()) -> str:
    """Everything that matters of a kernel as it stands, on about a screen; never fails.

    Lines are quoted of files in `sources` only; if there is none, of those in the kernel's folder.
    """
    folders = sources or (own_folder(story.boot.kernel),)
    parts: list[tuple[str, Callable[[], Iterator[str]]]] = [
        (_events_title(story), lambda: _events(story)),
        ("stands at", lambda: _place(story, folders)),
        ("doctor", lambda: _doctor(story, folders)),
        ("threads", lambda: _threads(story)),
        ("trap", lambda: _trap(story)),
        ("console", lambda: _console(story)),
        ("saved", lambda: _files(saved)),
    ]
    if story.exit_status is not None:
        parts = [
            part for part in parts if part[0] not in ("stands at", "doctor", "threads", "trap")
        ]
        status = story.exit_status
        parts.insert(1, ("stands at", lambda: iter([f"it has ended, with status {status}"])))
    blocks = []
    for title, lines in parts:
        try:
            body = [line for line in lines() if line is not None]
        except RcdbgError as error:
            body = [f"not to be had: {error}"]
        if body:
            blocks.append("\n".join([title, *(f"  {line}".rstrip() for line in body)]))
    return safe_lines("\n".join(blocks))


def save(story: Story, folder: Path, name: str) -> list[Saved]:
    """Write a snapshot and the trace into `folder`; what cannot be written is left out."""
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-") or "test"
    found = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if story.exit_status is None:
            path = folder / f"{stem}.snap"
            save_snapshot(story, path)
            found.append(Saved("snapshot", path, f"rcdbg show --snapshot {path}"))
        path = folder / f"{stem}.jsonl"
        save_trace(story, path)
        found.append(Saved("trace", path, f"rcdbg trace show {path}"))
    except (RcdbgError, OSError):
        # The disk may be full: the report says what it can, and the test fails for its own reason.
        return found
    return found


def _events_title(story: Story) -> str:
    count = len(story.history)
    return f"events, the last {_EVENTS} of {count:,}" if count > _EVENTS else "events"


def _events(story: Story) -> Iterator[str]:
    from rcdbg.views.render import render_text
    from rcdbg.views.trace.listing import event_line

    for event in list(story.history)[-_EVENTS:]:
        line = event_line(replace(event, marks=()), header_of(story))
        yield render_text(line, _EVENT_WIDTH).splitlines()[0].removeprefix("  ")
    if not story.history:
        yield "none of those that were watched"


def _place(story: Story, folders: Sequence[Path]) -> Iterator[str]:
    stack = story.backtrace()
    frames = stack.backtrace.frames
    kernel = story.kernel()
    pc = place_now(kernel)
    yield describe(pc)
    source = list(_source(pc, folders))
    yield from source
    for frame in frames[1:_CALLS]:
        yield f"{_called(frame)} {describe(frame.pc)}"
        if not source:
            # The innermost place that has source: assembly often has none.
            source = list(_source(frame.pc, folders))
            yield from source
    if len(frames) > _CALLS:
        yield f"... and {len(frames) - _CALLS} more"


def _called(frame: StackFrame) -> str:
    return "in a trap from" if frame.is_trap else "called from"


def _source(place: Place, folders: Sequence[Path]) -> Iterator[str]:
    if place.file is None or place.line is None:
        return
    lines = read_source(place.file, folders)
    first = max(1, place.line - _LINES_AROUND)
    for number in range(first, min(place.line + _LINES_AROUND, len(lines)) + 1):
        mark = "▸" if number == place.line else " "
        yield f"{mark} {number:>4} │ {lines[number - 1]}"[:WIDTH]


def _doctor(story: Story, folders: Sequence[Path]) -> Iterator[str]:
    from rcdbg.doctor.examine import examine
    from rcdbg.doctor.finding import Severity
    from rcdbg.views.doctor import headline
    from rcdbg.views.render import render_text

    found = examine(story.kernel(), list(story.history), story.console)
    for finding in found.findings:
        if finding.severity is not Severity.NOTE:
            yield from render_text(headline(finding), WIDTH).splitlines()
            if finding.place is not None:
                yield f"  at {describe(finding.place)}"
                yield from (f"  {line}" for line in _source(finding.place, folders))


def _threads(story: Story) -> Iterator[str]:
    from rcdbg.model.threads.processor import read_processor
    from rcdbg.views.render import render_text
    from rcdbg.views.threads.threads import view

    kernel = story.kernel()
    shown = view(read_processor(kernel), None, place_now(kernel))
    yield from render_text(shown, WIDTH + 12).splitlines()


def _trap(story: Story) -> Iterator[str]:
    from rcdbg.views.hart.context import view
    from rcdbg.views.render import render_text

    yield from render_text(view(story.backtrace().trap), WIDTH).splitlines()


def _console(story: Story) -> Iterator[str]:
    yield from [line for line in story.console.splitlines() if line.strip()][-_CONSOLE_LINES:]


def _files(saved: list[Saved]) -> Iterator[str]:
    yield from (f"{one.what}: {one.command}" for one in saved)
