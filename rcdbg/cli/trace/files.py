"""`rcdbg trace show`, `draw`, `stats` and `diff`: what is in recordings."""

import argparse
from pathlib import Path
from typing import Any

from rcdbg.cli.door import tell, tell_json
from rcdbg.cli.trace.choosing import add_selection, chosen
from rcdbg.errors import UsageError

DIFFERENT = 1
"""Exit status of `rcdbg trace diff` for recordings that differ, as that of diff(1)."""


def add_to(commands: Any) -> None:
    """Add the commands to the subparsers of `rcdbg trace`."""
    show = commands.add_parser("show", help="list a recording's events")
    draw = commands.add_parser("draw", help="draw who ran when, with traps as marks")
    stats = commands.add_parser("stats", help="count events; run time, and times of traps")
    for command, run in ((show, _show), (draw, _draw), (stats, _stats)):
        command.add_argument("file", metavar="FILE", type=Path, help="recorded with -o FILE.jsonl")
        add_selection(command)
        command.set_defaults(run=run)
    show.add_argument("--last", metavar="N", type=int, help="only the last N of them")
    draw.add_argument("--svg", metavar="OUT", type=Path, help="write a picture instead")
    draw.add_argument(
        "--by",
        choices=("ticks", "events"),
        help="what is to the right: guest time, or one event after the other "
        "(default: guest time where it is known well enough)",
    )
    diff = commands.add_parser(
        "diff", help="find the first event that two recordings have otherwise"
    )
    diff.add_argument("a", metavar="A", type=Path)
    diff.add_argument("b", metavar="B", type=Path)
    diff.add_argument("--times", action="store_true", help="also compare when events happened")
    diff.add_argument(
        "--context", metavar="N", type=int, default=3, help="events before and after (default: 3)"
    )
    diff.set_defaults(run=_diff)
    for command in (show, stats, diff):
        command.add_argument("--json", action="store_true", help="for programs; see docs/json.md")


def _show(arguments: argparse.Namespace) -> int:
    from rcdbg.trace.record import Trace
    from rcdbg.trace.sinks.documents import trace_document
    from rcdbg.trace.sinks.files import TraceReader
    from rcdbg.views.render import Printer
    from rcdbg.views.trace import listing as trace_listing

    with TraceReader(arguments.file) as reader:
        events = chosen(reader, arguments)
        if arguments.json:
            listed = tuple(events)  # the end is known when all of them have been read
            found = trace_document(Trace(reader.header, listed, reader.end), reader.cut_off)
            tell_json(found)
            return 0
        printer = Printer()
        printer.show(trace_listing.heading(reader.header))
        printer.show(trace_listing.columns(reader.header))
        shown = False
        for event in events:
            shown = True
            line = trace_listing.event_line(event, reader.header)
            printer.line(line, trace_listing.INDENT)
        if not shown:
            printer.show(trace_listing.nothing())
        if reader.end is not None or reader.cut_off is not None:
            printer.show(trace_listing.ending(reader.end, reader.cut_off))
    return 0


def _draw(arguments: argparse.Namespace) -> int:
    from rcdbg.trace.analysis.timeline import timeline
    from rcdbg.trace.sinks.files import TraceReader

    with TraceReader(arguments.file) as reader:
        events = chosen(reader, arguments)
        whole = arguments.after is not None
        drawn = timeline(reader.header, events, arguments.by, whole=whole)
        cut_off = reader.cut_off
    if arguments.svg is None:
        from rcdbg.views.render import show
        from rcdbg.views.trace.timeline import view

        show(view(drawn))
    else:
        from rcdbg.outputs import write_whole
        from rcdbg.views.trace.svg import svg

        write_whole(arguments.svg, svg(drawn).encode())
        tell(f"{arguments.svg}: {len(drawn.rows)} threads, {drawn.events:,} events")
    if cut_off:
        tell(cut_off)
    return 0


def _stats(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from rcdbg.trace.analysis.stats import statistics
    from rcdbg.trace.sinks.files import TraceReader

    with TraceReader(arguments.file) as reader:
        found = statistics(reader.header, chosen(reader, arguments))
        if arguments.json:
            from rcdbg.model.serial.state import document

            tell_json(document("trace_stats", asdict(found)))
            return 0
        from rcdbg.views.render import show
        from rcdbg.views.trace.report import stats_view

        show(stats_view(reader.header, found))
        if reader.cut_off:
            tell(reader.cut_off)
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from rcdbg.trace.analysis.diff import compare, ends
    from rcdbg.trace.sinks.files import TraceReader

    if not 0 <= arguments.context <= 1000:
        raise UsageError(f"--context {arguments.context}: from 0 to 1000")
    with TraceReader(arguments.a) as a, TraceReader(arguments.b) as b:
        found = compare((a.header, a), (b.header, b),
                        times=arguments.times, context=arguments.context)  # fmt: skip
        at_end = ends(a.end, b.end) if found.equal else ()
        if arguments.json:
            tell_json(_difference(found, at_end))
        else:
            from rcdbg.views.render import show
            from rcdbg.views.trace.report import diff_view

            names = str(arguments.a), str(arguments.b)
            show(diff_view((names[0], a.header), (names[1], b.header), found, at_end))
    return 0 if found.equal else DIFFERENT


def _difference(found: Any, at_end: Any) -> dict[str, Any]:
    from rcdbg.model.serial.state import document
    from rcdbg.trace.sinks.documents import event_document

    def changes(several: Any) -> list[dict[str, Any]]:
        return [{"name": c.name, "a": c.a, "b": c.b} for c in several]

    parted = found.divergence
    divergence = parted and {
        "a": parted.a and event_document(parted.a),
        "b": parted.b and event_document(parted.b),
        "changes": changes(parted.changes),
        "before": [event_document(event) for event in parted.before],
        "after_a": [event_document(event) for event in parted.after_a],
        "after_b": [event_document(event) for event in parted.after_b],
    }
    content = {
        "equal": found.equal,
        "same": found.same,
        "header": changes(found.header),
        "end": changes(at_end),
        "kinds": list(found.kinds),
        "notes": list(found.notes),
        "divergence": divergence,
    }
    return document("trace_diff", content)
