"""`rc trace`: what the kernel does from where it stands, event by event."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gdb

from gdbscripts.answers import width
from gdbscripts.commands.stepping import demand_hardware_steps
from gdbscripts.framework import Command, TypedWords, completions, say
from gdbscripts.machine.kernel import forget, fresh_kernel
from rcdbg.errors import RcdbgError, UsageError
from rcdbg.trace import options as trace_options
from rcdbg.trace.kinds import GROUPS, KINDS

if TYPE_CHECKING:
    # Imported when the command runs: `source` stays quick.
    from rcdbg.model.kernel import Kernel
    from rcdbg.trace.record import TraceEnd
    from rcdbg.trace.sinks.formats import Output
    from rcdbg.trace.sinks.sink import KeptTrace, Sink
    from rcdbg.trace.wanted import Wanted


class _Trace(Command):
    """Record what the kernel does from where it stands: traps, switches, frames, console lines.

    TIME is guest time from here on. Without -o or --json the events are printed as they come.
    It ends there, at a breakpoint of yours, by Ctrl-C, or with the machine; the kernel then stands
    where the last event was seen.
    """

    usage = "rc trace"
    examples = (
        "rc trace --events switch,console --until switch:to=3",
        "rc trace --hit map_one --until 100 -o boot.jsonl",
    )
    options = trace_options.OPTIONS
    kind = gdb.COMMAND_RUNNING

    def run(self, typed: TypedWords) -> Any:
        from rcdbg.trace.sinks.documents import trace_document
        from rcdbg.trace.sinks.formats import kept
        from rcdbg.trace.sinks.sink import KeptTrace

        self.no_more(typed)
        wanted = trace_options.wanted(typed.given)
        output = _output(typed.given.text("--output"), typed.as_json)
        demand_hardware_steps()
        kernel = fresh_kernel()
        whole = KeptTrace() if typed.as_json else None
        with _sink(output, whole) as sink:
            end = _record(kernel, wanted, sink)
        forget()
        if whole is not None:
            return trace_document(whole.trace) if whole.trace is not None else None
        if output.path is not None:
            say(kept(end, output))
        if gdb.selected_inferior().pid:
            kernel = fresh_kernel()
            say(f"rcdbg: the kernel stands at {_describe(kernel)}")
        return None

    def complete(self, text: str, word: str | None) -> list[str]:
        """As every command, and kinds of events behind --events and --until."""
        last = ["", *text.split(" ")[:-1]]
        if last[-1] not in ("--events", "--until"):
            return super().complete(text, word)
        if last[-1] == "--until":
            return completions(text, word, KINDS)
        typed = text.split(" ")[-1]
        listed = typed[: typed.rfind(",") + 1]
        return completions(text, word, [listed + name for name in (*GROUPS, *KINDS)])


def _output(file: str | None, as_json: bool) -> Output:
    """What is made of the recording; raises UsageError for what cannot be."""
    from rcdbg.trace.sinks.formats import Output, output_of

    if file is None:
        return Output(None)
    if as_json:
        raise UsageError("rc trace: -o FILE or --json, not both")
    if file == "-":
        raise UsageError("rc trace -o -: name a file, FILE.jsonl or FILE.json")
    return output_of(Path(file).expanduser())


def _sink(output: Output, whole: KeptTrace | None) -> AbstractContextManager[Sink]:
    from rcdbg.trace.sinks.formats import opened
    from rcdbg.views.render import Printer
    from rcdbg.views.trace.live_listing import LiveListing

    if whole is not None:
        return nullcontext(whole)
    if output.format is not None:
        return opened(output.format, output.path)
    return nullcontext(LiveListing(Printer(width(), bool(gdb.parameter("style enabled")))))


def _record(kernel: Kernel, wanted: Wanted, sink: Sink) -> TraceEnd:
    """Record into the sink; if it fails, what was told is kept, with the reason."""
    from gdbscripts.machine.trace_recorder import GdbMemory, GdbRecorder
    from rcdbg.trace.headers import make_header
    from rcdbg.trace.observers.observer import Observer
    from rcdbg.trace.observers.probes import plan
    from rcdbg.trace.record import TraceEnd

    memory, image, until = GdbMemory(), kernel.image, wanted.until
    made = plan(image, kernel.overlay, wanted.kinds, wanted.hits)
    observer = Observer(image, kernel.overlay, made, memory, satp=kernel.csr("satp") or 0)
    limit = None
    if until is not None and until.after_ticks is not None:
        now = memory.stop.ticks()
        if now is None:
            raise UsageError(f"--until {until.text}: this machine's clock cannot be read")
        limit = now + until.after_ticks
    recorder = GdbRecorder(observer, memory, sink, until, limit)
    # It is not deterministic: what is typed into gdb may change anything.
    sink.header(make_header(image, made, backend="gdb"))
    try:
        end = recorder.record()
    except (RcdbgError, gdb.error) as error:
        sink.end(TraceEnd(str(error), recorder.events))
        raise
    sink.end(end)
    return end


def _describe(kernel: Kernel) -> str:
    from rcdbg.trace.run import describe

    return describe(kernel.place(kernel.registers.pc))


def commands() -> list[Command]:
    """The one that records."""
    return [_Trace()]
