"""What was recorded before this moment: the first event that was not in order, and what repeats."""

import itertools
from collections.abc import Iterator, Sequence

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.kernels.description import Description
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Place
from rcdbg.riscv import causes
from rcdbg.riscv.code import size_of
from rcdbg.trace.record import TraceEvent

FAULTS = frozenset({0, 1, 2, 4, 5, 6, 7, 12, 13, 15})
"""Exceptions that code of the kernel should never cause."""
_STEPPED_OVER = (3, 8)
"""Breakpoints and system calls: the kernel goes on behind them."""
_BREAKPOINT = 3
_LATER = 4
_REPEATS = 4
"""Traps in a row that came back to themselves: fewer may be chance."""
_STORM, _STORM_TICKS = 48, 1000
"""Interrupts in a row, and less than that many ticks (0.1 ms) for each: a storm."""
_TRACE = "trace traps"


def disorder(event: TraceEvent, description: Description) -> str:
    """What of an event is not in order, in words; "" for one that is.

    Faults of programs are, and so is a trap in a trap where each thread has a stack of its own.
    """
    if event.kind == "hit":
        return "the kernel panics"
    if event.kind != "trap_enter":
        return ""
    fields = event.fields
    code = causes.code(fields["scause"])
    if fields["privilege"] == "S" and not fields["interrupt"] and code in FAULTS:
        return f"{fields['cause']} from S-mode"
    one_stack = bool(description.kernel_stack.type or description.kernel_stack.at)
    if one_stack and fields["depth"] > 1:
        return f"a trap ({fields['cause']}) inside a trap's handler"
    return ""


def disorders(examination: Examination) -> Iterator[Finding]:
    """The first event that was not in order, and traps that repeat without an end."""
    kernel, events = examination.kernel, examination.events or ()
    yield from _first(kernel, events)
    yield from _not_advanced(kernel, events)
    yield from _wrong_length(kernel, events)
    yield from _storm(kernel, events)


def _first(kernel: Kernel, events: Sequence[TraceEvent]) -> Iterator[Finding]:
    found = [
        (i, event, words)
        for i, event in enumerate(events)
        if (words := disorder(event, kernel.description))
    ]
    if not found or found[0][1].kind == "hit":
        return  # a panic alone has a rule of its own
    position, event, words = found[0]
    evidence = [_fact(kernel, event, words)]
    evidence += [_fact(kernel, later, said) for _, later, said in found[1 : 1 + _LATER]]
    if len(found) > 1 + _LATER:
        evidence.append(Fact(f"and {len(found) - 1 - _LATER:,} more of them", None, _TRACE))
    yield Finding(
        "RC0214",
        Severity.WARNING,
        Confidence.CERTAIN,
        f"{words} at {_at(event)} was the first event that was not in order, "
        f"number {position + 1:,} of {len(events):,}",
        tuple(evidence),
        bucket_of("RC0214", words),
        _place(kernel, event),
        "What comes after a fault often follows from it: a handler that faults again, a panic in "
        "the handler, an `unwrap` of what the fault left behind.",
        "Mend this one first, and look at the others then.",
        "the kernel provokes this fault on purpose, as a test",
        first_seen=position,
    )


def _at(event: TraceEvent) -> str:
    return event.fields.get("sepc_place") or f"{event.fields.get('sepc', event.pc):#x}"


def _place(kernel: Kernel, event: TraceEvent) -> Place | None:
    if event.fields.get("privilege") == "U":
        return None
    return kernel.place(event.fields.get("sepc", event.pc))


def _fact(kernel: Kernel, event: TraceEvent, words: str) -> Fact:
    stval = event.fields.get("stval")
    more = "" if stval is None else f", stval {stval:#x}"
    return Fact(f"event {event.seq}: {words}{more}", _place(kernel, event), _TRACE)


def _not_advanced(kernel: Kernel, events: Sequence[TraceEvent]) -> Iterator[Finding]:
    """Breakpoints and system calls that the kernel returns to instead of behind them."""
    times = 0
    for position, (entered, left) in enumerate(itertools.pairwise(events)):
        if entered.kind != "trap_enter":
            continue
        fields = entered.fields
        same = (
            left.kind == "trap_leave"
            and not fields["interrupt"]
            and causes.code(fields["scause"]) in _STEPPED_OVER
            and left.fields["sepc"] == fields["sepc"]
        )
        times = times + 1 if same else 0
        if times == _REPEATS:
            yield Finding(
                "RC0215",
                Severity.ERROR,
                Confidence.CERTAIN,
                f"the kernel returns to the {fields['cause']} at {_at(entered)} instead of behind "
                "it, for ever",
                (
                    _fact(kernel, entered, f"{fields['cause']}, {times} times in a row"),
                    Fact(f"event {left.seq}: back to {left.fields['sepc']:#x}, the same", None,
                         _TRACE),
                ),
                bucket_of("RC0215", fields["cause"]),
                _place(kernel, entered),
                "The handler does not add the length of the instruction to sepc in the Context.",
                "Add 4 for an `ecall`; for a breakpoint 2 or 4: the lowest two bits at sepc tell.",
                first_seen=position,
            )  # fmt: skip
            return


def _wrong_length(kernel: Kernel, events: Sequence[TraceEvent]) -> Iterator[Finding]:
    """A breakpoint in the kernel's code that it goes on behind by another length than it has."""
    for position, (entered, left) in enumerate(itertools.pairwise(events)):
        if (entered.kind, left.kind) != ("trap_enter", "trap_leave"):
            continue
        fields = entered.fields
        if fields["scause"] != _BREAKPOINT or fields["privilege"] != "S":
            continue
        code = kernel.image.read(kernel.linked(fields["sepc"]), 2)
        moved = left.fields["sepc"] - fields["sepc"]
        if not code or moved not in (2, 4) or moved == size_of(code[0]):
            continue
        size = size_of(code[0])
        yield Finding(
            "RC0212",
            Severity.ERROR,
            Confidence.CERTAIN,
            f"sepc was moved on by {moved} bytes behind the breakpoint at {_at(entered)}, "
            f"which has {size}",
            (
                _fact(kernel, entered, f"a breakpoint of {size} bytes"),
                Fact(f"event {left.seq}: back to {left.fields['sepc']:#x}", None, _TRACE),
            ),
            bucket_of("RC0212", "length"),
            _place(kernel, entered),
            "The handler adds one length behind each breakpoint; the compiler uses an `ebreak` "
            "of 2 bytes where it may.",
            "Read the halfword at sepc: with its lowest two bits both set it has 4 bytes, else 2.",
            first_seen=position,
        )
        return


def _storm(kernel: Kernel, events: Sequence[TraceEvent]) -> Iterator[Finding]:
    """One interrupt after the other, with nothing done in between."""
    run: list[TraceEvent] = []
    for position, event in enumerate(events):
        if event.kind != "trap_enter":
            continue
        fields = event.fields
        last = run[-1].fields if run else None
        goes_on = (
            last is not None
            and fields["interrupt"]
            and (last["scause"], last["sepc"]) == (fields["scause"], fields["sepc"])
        )
        run = [*run, event] if goes_on else [event]
        first, now = run[0].ticks, event.ticks
        if len(run) < _STORM or first is None or now is None:
            continue
        if now - first < len(run) * _STORM_TICKS:
            ticks = (now - first) // len(run)
            yield Finding(
                "RC0216",
                Severity.ERROR,
                Confidence.LIKELY,
                f"a storm of traps: {fields['cause']}, {len(run)} times in a row at {_at(event)}",
                (
                    _fact(kernel, run[0], f"the first of them: {fields['cause']}"),
                    Fact(f"one each {ticks} ticks, and nothing is executed in between", None,
                         _TRACE),
                ),
                bucket_of("RC0216", fields["cause"]),
                _place(kernel, event),
                "Nobody takes away what the interrupt asks for, so that it comes again at once: "
                "the next deadline is not set, or the device is not told that it was served.",
                "For the timer set the next deadline in the handler; for a device read its "
                "registers and complete the interrupt at the PLIC.",
                "the machine is so slow that the next one is due each time",
                first_seen=position - len(run) + 1,
            )  # fmt: skip
            return
