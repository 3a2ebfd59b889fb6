"""The options that choose some of a recording's events, for every command that reads one."""

import argparse
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rcdbg.errors import UsageError
from rcdbg.trace.kinds import GROUPS, KINDS, parse_kinds

if TYPE_CHECKING:
    from rcdbg.trace.record import TraceEvent
    from rcdbg.trace.select import Selection
    from rcdbg.trace.sinks.files import TraceReader


def add_selection(command: argparse.ArgumentParser, up_to: str = "--to") -> None:
    """Add them to a command's parser; `up_to` is what the option for the last event is called."""
    group = command.add_argument_group("only some events")
    group.add_argument(
        "--kind", metavar="LIST", help=f"with commas: {', '.join((*GROUPS, *KINDS))}"
    )
    group.add_argument("--thread", metavar="LIST", help="ids with commas; none: in no thread")
    group.add_argument(
        "--from", dest="after", metavar="WHERE", help="an event's number (120) or time (5ms, 900t)"
    )
    group.add_argument(up_to, dest="before", metavar="WHERE", help="the same; inclusive")
    group.add_argument("--grep", metavar="REGEX", help="whose line in the listing has this")


def _selection(arguments: argparse.Namespace, timebase_hz: int | None) -> "Selection":
    from rcdbg.trace.select import Selection, parse_bound

    last = getattr(arguments, "last", None)
    if last is not None and last < 1:
        raise UsageError(f"--last {last}: at least 1")
    try:
        words = re.compile(arguments.grep) if arguments.grep else None
    except re.error as error:
        raise UsageError(f"--grep {arguments.grep}: no regular expression: {error}") from error
    return Selection(
        kinds=parse_kinds(arguments.kind) if arguments.kind else None,
        threads=_threads(arguments.thread) if arguments.thread else None,
        after=parse_bound(arguments.after, timebase_hz) if arguments.after else None,
        before=parse_bound(arguments.before, timebase_hz) if arguments.before else None,
        words=words,
        last=last,
    )


def _threads(text: str) -> tuple[int | None, ...]:
    try:
        return tuple(None if word.strip() == "none" else int(word) for word in text.split(","))
    except ValueError as error:
        raise UsageError(f"--thread {text}: ids with commas, or none") from error


def chosen(reader: "TraceReader", arguments: argparse.Namespace) -> "Iterator[TraceEvent]":
    """The events of a recording that they choose; raises UsageError for what makes no sense."""
    from rcdbg.views.trace.listing import event_line

    chosen = _selection(arguments, reader.header.timebase_hz)
    return chosen.of(reader, lambda event: event_line(event, reader.header).plain)
