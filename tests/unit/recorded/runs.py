"""What is asked of the recordings: their events, what the kernel printed, stops at its ticks."""

import re
from functools import cache

from rcdbg.image.resolve import resolve
from rcdbg.kernels.reading import NOTHING
from rcdbg.riscv import causes
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import plan
from rcdbg.trace.record import TraceEvent
from tests.support.recordings import Played, PlayedRecorder, image, recorded

NAMES = ("threads", "preempt", "sleepers", "fault", "processes")
TIMER = causes.named("timer")
HANDLER, THREAD_EXIT = "handle_interrupt", "kernel_thread_exit"
"""Of the sample kernel: what handles all traps, and what a thread's function returns to."""


def observer_of(played: Played, *, satp: int = 0) -> Observer:
    """An observer of all that the recording can show."""
    wanted = plan(image(), NOTHING, played.recording.kinds)
    return Observer(image(), NOTHING, wanted, played, satp=satp)


@cache
def events(name: str) -> tuple[TraceEvent, ...]:
    """All that an observer tells of a recording."""
    with PlayedRecorder(recorded(name)) as recorder:
        observer = observer_of(recorder.target)
        recorder.watch(observer.addresses)
        found = [event for moment in recorder.moments() for event in observer.feed(moment)]
        found += observer.finish()
    assert observer.lost == 0
    return tuple(found)


def of(name: str, *kinds: str) -> list[TraceEvent]:
    """Those of these kinds."""
    return [event for event in events(name) if event.kind in kinds]


def said(name: str) -> list[str]:
    """The lines that the kernel printed, without the firmware's."""
    lines = [line.rstrip() for line in recorded(name).console.splitlines()]
    first = next(n for n, line in enumerate(lines) if line.startswith("os "))
    return [line for line in lines[first:] if line]


def numbers(name: str, pattern: str) -> list[tuple[int, ...]]:
    """The groups of each line of the kernel's that is like this, as numbers."""
    found = (re.fullmatch(pattern, line) for line in said(name))
    return [tuple(int(group, 0) for group in match.groups()) for match in found if match]


def handled(name: str, count: int = 1, *, ticks: bool = True) -> Played:
    """The recording where the handler is entered for the so-manieth trap; of ticks only, or any."""
    played = Played(recorded(name))
    handler = resolve(image(), HANDLER)
    while count:
        assert played.forward((handler,)), "there are fewer"
        count -= not ticks or played.registers().csrs["scause"] == TIMER
    return played


def traps(name: str, most: int) -> list[Played]:
    """Entries of the handler, whatever the cause: at most so many, spread over the whole run."""
    handler = resolve(image(), HANDLER)
    count = sum(step.pc == handler for step in recorded(name).steps)
    every = max(1, -(-count // most))
    return [handled(name, number, ticks=False) for number in range(1, count + 1, every)]
