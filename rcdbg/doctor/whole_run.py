"""A kernel followed from its boot to its end, and examined when it first goes out of order.

The machine waits at each trap, so that memory and registers are those of that instant; what comes
after it is recorded too, for a while, and told below it.
"""

from contextlib import suppress
from dataclasses import replace

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.examine import Diagnosis, NotChecked, ask, examine, ranked
from rcdbg.doctor.looks import take_looks
from rcdbg.doctor.rules.course import disorder
from rcdbg.doctor.table import CHECKS
from rcdbg.errors import MachineError, UsageError
from rcdbg.guest.protocol import Registers, Target
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.elf import Image, load_image
from rcdbg.kernels.description import RUSTS_PANIC
from rcdbg.kernels.recognise import describe, first_symbol
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.model.kernel import Kernel
from rcdbg.trace.moment import SHUT_DOWN, TIMEBASE_HZ
from rcdbg.trace.record import BY_USER, TraceEvent
from rcdbg.trace.recorders.recording import Recording, record
from rcdbg.trace.run import Boot, EndedError, MissedError, Run
from rcdbg.trace.until import Ending
from rcdbg.trace.wanted import Wanted

AFTER = 200
"""Events that are waited for after the first one that was not in order."""
MAX_EVENTS = 20_000
"""Events of a run that is in order, after which it is not followed any more."""
_STOP_SECONDS = 10.0
_ENDED = "the kernel has ended: its registers are those of its last trap"
_OF_TRAPS = ("RC0201", "RC0213")
_OF_THE_HART = frozenset({"RC0301", "RC0303", "RC0503", "RC0504", "RC0603"})
"""Faults that are told by registers: which table is in satp, where sp is."""
_KINDS = ("trap_enter", "trap_leave")
_EVENT_RULES = "events"


def examine_whole(boot: Boot, seconds: float, hang_seconds: float) -> Diagnosis:
    """What goes wrong first in a run, or else what a kernel that does not end does instead.

    It is followed for so many seconds of guest time, and let run for so many of the host's to see
    whether it hangs. Raises ImageError and MachineError.
    """
    image = load_image(boot.kernel)
    found, has_ended = examine_run(boot, seconds, image)
    if has_ended or found.headline is not None:
        return found
    with suppress(MissedError):
        return examine_hang(boot, min(seconds, hang_seconds), image)
    return found


def examine_run(boot: Boot, seconds: float, image: Image) -> tuple[Diagnosis, bool]:
    """What goes wrong first in a run of so many seconds of guest time; whether the kernel ended.

    Raises MachineError.
    """
    description = describe(image, boot.overlay)
    events: list[TraceEvent] = []
    first: Diagnosis | None = None
    last: Kernel | None = None
    registers: Registers | None = None
    with _recording(boot, seconds, image) as recording:
        for event in recording:
            events.append(event)
            with suppress(MachineError):  # a machine that has just ended has none any more
                registers = recording.target.registers()
            if first is None and disorder(event, description):
                last = Kernel.now(image, recording.target, boot.overlay)
                found = examine(last, events)
                seen = len(events) - 1
                marked = (replace(one, first_seen=seen) for one in found.findings)
                first = replace(found, findings=tuple(marked))
                until = len(events) + AFTER
            if len(events) >= (MAX_EVENTS if first is None else until):
                break
        console = recording.console
        if last is None and registers is not None:
            last = _at(image, recording.target, registers, boot)
        if last is None:
            return Diagnosis((), (), ()), False
        # None where it was left before its end.
        end = recording.end
        if end is not None and end.why == BY_USER:
            raise KeyboardInterrupt
        has_ended = end is not None and end.why == SHUT_DOWN
        if first is None:
            found = examine(last, events, console)
            return (_without_its_registers(found) if has_ended else found), has_ended
        return _with_what_came_after(first, Examination(last, events, console)), has_ended


def examine_hang(boot: Boot, seconds: float, image: Image | None = None) -> Diagnosis:
    """What a kernel does that was let run for so many seconds of the host's time.

    Raises ImageError, and MissedError if it ended before.
    """
    with Run(boot, image) as run:
        run.stub.resume()
        try:
            run.stub.wait_stop(seconds)
            raise EndedError(f"the kernel ended within {seconds:g} s: it does not hang")
        except DeadlineError:
            run.stub.interrupt()
            run.stub.wait_stop(_STOP_SECONDS)
        return examine_standing(run)


def examine_standing(run: Run) -> Diagnosis:
    """The same of a kernel that stands; it is let run on for half a second."""
    looks = take_looks(run)
    return examine(run.kernel(), None, run.console, looks)


def _at(image: Image, target: Target, registers: Registers, boot: Boot) -> Kernel:
    """The kernel with the registers of its last event; what memory holds by now."""
    satp = registers.csrs.get("satp", 0)
    memory = VirtualMemory(target, satp, image.physical)
    return Kernel(image, target, registers, memory, boot.overlay)


def _without_its_registers(found: Diagnosis) -> Diagnosis:
    """The same of a kernel that has ended: its memory went on after its last trap's registers."""
    left = [NotChecked(check, _ENDED) for check in found.checked if _asks_the_hart(check.code)]
    return replace(
        found,
        findings=tuple(one for one in found.findings if not _asks_the_hart(one.code)),
        checked=tuple(check for check in found.checked if not _asks_the_hart(check.code)),
        not_checked=(*found.not_checked, *left),
    )


def _asks_the_hart(code: str) -> bool:
    return code in _OF_THE_HART or _OF_TRAPS[0] <= code <= _OF_TRAPS[1]


def _with_what_came_after(first: Diagnosis, examination: Examination) -> Diagnosis:
    """The same with what the rules for events say, now that all of them are known."""
    found = list(first.findings)
    by_events = {check.code for check in CHECKS if _EVENT_RULES in check.needs}
    codes = {code for check in CHECKS if check.code in by_events for code in check.codes}
    codes -= {check.code for check in CHECKS if check.code not in by_events}
    found = [one for one in found if one.code not in codes]
    for check in CHECKS:
        if check.code in by_events:
            found += ask(check, examination)[0]
    return replace(first, findings=ranked(found))


def _recording(boot: Boot, seconds: float, image: Image) -> Recording:
    description = describe(image, boot.overlay)
    listed = description.thread.list or description.process.threads
    ending = Ending(f"{seconds:g} s", after_ticks=int(seconds * TIMEBASE_HZ))
    wanted = Wanted(_KINDS, (), ending, "auto" if listed else "held")
    panic = first_symbol(image, description.calls.panic or RUSTS_PANIC)
    if panic is not None:
        with suppress(UsageError):  # a function that cannot be watched by its name
            return record(boot, replace(wanted, hits=(panic[0],)), image=image)
    return record(boot, wanted, image=image)
