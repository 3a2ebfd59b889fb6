"""The kernel's own account of itself: the lines that the boot argument `dump=TICK` prints.

Format: the documentation of kernel/os/src/dump.rs.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from rcdbg.model.state import KernelState, Thread


@dataclass
class Dump:
    """One dump; numbers as the kernel printed them."""

    tick: int = 0
    current: dict[str, Any] | None = None
    trap: dict[str, Any] | None = None
    ready: list[dict[str, Any]] = field(default_factory=list)
    sleeping: list[dict[str, Any]] = field(default_factory=list)
    parked: dict[int, dict[str, Any]] = field(default_factory=dict)
    free: list[tuple[int, int]] = field(default_factory=list)
    total: int = 0
    used: int = 0
    satp: int = 0


def _fields(line: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in re.findall(r"(\w+)=(\S+)", line):
        if name == "stack":
            start, end = text.split("-")
            found[name] = (int(start, 16), int(end, 16))
        elif name == "x":
            found[name] = tuple(int(word, 16) for word in text.split(","))
        else:
            found[name] = {"true": True, "false": False}.get(text)
            if found[name] is None:
                found[name] = int(text, 0)
    return found


def parse_dump(console: str) -> Dump:
    """The first complete dump in the console's text; raises ValueError if there is none."""
    lines = re.findall(r"^\[dump\] (.*?)\r?$", console, re.MULTILINE)
    if "end" not in lines:
        raise ValueError("no complete dump on the console")
    dump = Dump()
    for line in lines[: lines.index("end")]:
        word, fields = line.split(" ")[0], _fields(line)
        match word.split("=")[0]:
            case "begin":
                dump.tick = fields["tick"]
            case "current":
                dump.current = fields
            case "trap":
                dump.trap = fields
            case "ready":
                dump.ready.append(fields)
            case "sleeping":
                dump.sleeping.append(fields)
            case "parked":
                dump.parked[fields["id"]] = fields
            case "free":
                dump.free.append((fields["start"], fields["end"]))
            case "frames":
                dump.total, dump.used = fields["total"], fields["used"]
            case "satp":
                dump.satp = fields["satp"]
            case other:
                raise ValueError(f"unknown dump line {other!r}")
    return dump


def check_state(state: KernelState, dump: Dump) -> None:
    """What was decoded at the handler of that tick is what it then printed."""
    processor = state.processor
    assert processor.problems == ()
    assert dump.current is not None
    assert processor.current is not None
    check_thread(processor.current, dump.current, dump)
    assert processor.current.context is None, "a running thread has no parked Context"
    assert [t.id for t in processor.ready] == [r["id"] for r in dump.ready]
    assert [t.position for t in processor.ready] == list(range(len(dump.ready)))
    for thread, said in zip(processor.ready, dump.ready, strict=True):
        check_thread(thread, said, dump)
    said_sleeping = sorted(dump.sleeping, key=lambda s: s["id"])
    assert len(processor.sleeping) == len(said_sleeping)
    for thread, said in zip(processor.sleeping, said_sleeping, strict=True):
        check_thread(thread, said, dump)

    assert state.trap.context is not None
    assert dump.trap is not None
    assert state.trap.context.x == dump.trap["x"]
    assert state.trap.context.sstatus is not None
    assert state.trap.context.sstatus.value == dump.trap["sstatus"]
    assert state.trap.context.sepc.address == dump.trap["sepc"]
    assert state.trap.cause == "supervisor timer interrupt"

    assert state.frames.problems == ()
    assert [(i.start, i.end) for i in state.frames.free] == dump.free
    assert (state.frames.total, state.frames.used) == (dump.total, dump.used)

    satp = state.hart.csr("satp")
    assert satp is not None
    assert satp.value == dump.satp


def check_thread(thread: Thread, said: dict[str, Any], dump: Dump) -> None:
    """The same for one thread."""
    assert thread.problems == ()
    assert thread.id == said["id"]
    assert thread.stack is not None
    assert (thread.stack.start, thread.stack.end) == said["stack"]
    if "sleeping" in said:
        assert (thread.sleeping, thread.dead) == (said["sleeping"], said["dead"])
    parked = dump.parked.get(thread.id or -1)
    assert (thread.context is None) == (parked is None)
    if thread.context is not None and parked is not None:
        assert thread.context.x == parked["x"]
        assert thread.context.sstatus is not None
        assert thread.context.sstatus.value == parked["sstatus"]
        assert thread.context.sepc.address == parked["sepc"]
