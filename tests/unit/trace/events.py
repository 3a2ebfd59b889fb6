"""Traces made by hand, for tests that need no kernel."""

from typing import Any

from rcdbg.trace.kinds import DEFAULT_KINDS
from rcdbg.trace.record import Trace, TraceEnd, TraceEvent, TraceHeader

BASE = 0xFFFF_FFFF_8020_0000


def event(
    kind: str,
    seq: int = 1,
    ticks: int | None = 0,
    thread: int | None = None,
    *,
    place: str = "os::handler+0x4",
    instructions: int | None = None,
    marks: tuple[str, ...] = (),
    **fields: Any,
) -> TraceEvent:
    """An event; `from_` is the field `from`."""
    named = {name.rstrip("_"): value for name, value in fields.items()}
    return TraceEvent(seq, kind, ticks, instructions, 0, thread, BASE + 4, place, named, marks)


def trap(seq: int, ticks: int, thread: int | None, cause: str = "supervisor timer interrupt",
         depth: int = 1) -> TraceEvent:  # fmt: skip
    return event(
        "trap_enter", seq, ticks, thread, place="__interrupt", cause=cause, scause=(1 << 63) | 5,
        interrupt="interrupt" in cause, sepc=BASE + 0x400, stval=0, privilege="S", depth=depth,
    )  # fmt: skip


def leave(seq: int, ticks: int, thread: int | None, depth: int = 1) -> TraceEvent:
    return event("trap_leave", seq, ticks, thread, place="__restore+0x8c", sepc=BASE + 0x400,
                 privilege="S", depth=depth)  # fmt: skip


def header(**changes: Any) -> TraceHeader:
    given: dict[str, Any] = {
        "backend": "stub", "clock": "exact", "deterministic": False, "kinds": DEFAULT_KINDS,
        "kernel": "os", "build_id": "0123abcd", "append": "scenario=preempt",
    }  # fmt: skip
    return TraceHeader(**(given | changes))


def story() -> Trace:
    """Two threads, a tick each 1000 ticks of the clock, a frame taken and given back."""
    events: list[TraceEvent] = [
        event("thread_add", 1, 100, None, id=1, stack=[0x1000000, 0x1080000]),
        event("thread_add", 2, 120, None, id=2, stack=[0x1080000, 0x1100000]),
        event("switch", 3, 200, None, from_=None, to=1, why="start"),
        event("frame_alloc", 4, 300, 1, ppn=0x80300),
    ]
    running, other, ticks = 1, 2, 1000
    for _ in range(4):
        seq = len(events) + 1
        events += [
            trap(seq, ticks, running),
            event("timer_set", seq + 1, ticks + 10, running, deadline=ticks + 1000),
            leave(seq + 2, ticks + 40, running),
            event("switch", seq + 3, ticks + 40, running, from_=running, to=other, why="timer"),
        ]
        running, other, ticks = other, running, ticks + 1000
    seq = len(events) + 1
    events += [
        event("frame_free", seq, 4500, 1, ppn=0x80300),
        event("console", seq + 1, 4600, 1, text="done"),
        event("thread_exit", seq + 2, 4700, 1, id=1, why="exit"),
        event("switch", seq + 3, 4750, None, from_=1, to=2, why="exit"),
        event("sbi", seq + 4, 5200, 2, extension=8, function=0, name="shutdown", arguments=[0] * 3),
    ]
    return Trace(header(), tuple(events), TraceEnd("the kernel shut down", len(events)))
