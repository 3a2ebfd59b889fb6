"""A running guest over QEMU's monitor: its registers, and a stop that is over in a moment."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.errors import MachineError
from rcdbg.machine import timer
from rcdbg.machine.monitor import Event, Monitor
from rcdbg.machine.oracles import parse_info_registers
from rcdbg.target.protocol import Registers

SSTATUS_MASK = 0x8000_0003_000D_E762
"""The bits of mstatus that sstatus shows (privileged spec, "Supervisor Status Register")."""

_SHARED = ("satp", "stvec", "scause", "sepc", "stval", "sscratch")
_LOOK = "info registers"
_EVENT_SECONDS = 1.0


def registers(monitor: Monitor, mtime: int | None = None) -> Registers:
    """The registers by `info registers`, and `time` at `mtime`: none of this stops the guest.

    While it runs, pc and GPRs are those that QEMU last stored, each from a moment of its own. The
    monitor gives neither the privilege nor scounteren. Raises MachineError if QEMU has ended.
    """
    commands = [("human-monitor-command", {"command-line": line}) for line in _lines(mtime)]
    return _understood(*map(str, monitor.execute_all(commands)))


def _lines(mtime: int | None) -> list[str]:
    return [_LOOK] if mtime is None else [_LOOK, timer.dump_command(mtime)]


def _understood(text: str, ticks: str = "") -> Registers:
    try:
        values = parse_info_registers(text)
        csrs = {name: values[name] for name in _SHARED}
        csrs["sstatus"] = values["mstatus"] & SSTATUS_MASK
        csrs["sie"] = values["mie"] & values["mideleg"]
        csrs["sip"] = values["mip"] & values["mideleg"]
        x = tuple(values[f"x{number}"] for number in range(32))
    except (ValueError, KeyError) as error:
        raise MachineError(f"QEMU's monitor gives no registers: {error}") from error
    if (time_now := timer.parse_dump(ticks)) is not None:
        csrs[timer.NAME] = time_now
    return Registers(values["pc"], x, csrs)


@dataclass(slots=True)
class Pause:
    """A stop, and the registers in it; `seconds` is its length once it is over."""

    registers: Registers
    seconds: float = 0.0


@contextlib.contextmanager
def paused(monitor: Monitor, mtime: int | None = None) -> Iterator[Pause]:
    """Within it the guest stands; no debugger may be connected to QEMU's stub.

    Its length is the time between QEMU's own STOP and RESUME events (QMP reference, "run-state"),
    or, where one of them does not come, that between asking for them.
    """
    times: dict[str, float] = {}
    complete = threading.Event()

    def note(event: Event) -> None:
        if event["event"] in ("STOP", "RESUME"):
            stamp = event["timestamp"]
            times[event["event"]] = stamp["seconds"] + stamp["microseconds"] / 1e6
            if len(times) == 2:
                complete.set()

    unsubscribe = monitor.subscribe(note)
    try:
        asked = time.perf_counter()
        try:
            # In one go: a round trip more would make the stop half as long again.
            looks = [("human-monitor-command", {"command-line": line}) for line in _lines(mtime)]
            _, *texts = monitor.execute_all([("stop", {}), *looks])
            pause = Pause(_understood(*map(str, texts)))
            yield pause
        finally:
            monitor.execute("cont")
        pause.seconds = time.perf_counter() - asked
        if complete.wait(_EVENT_SECONDS):
            # The wall clock may have been set in between; then our own measure has to do.
            between = times["RESUME"] - times["STOP"]
            pause.seconds = between if 0 <= between <= pause.seconds else pause.seconds
    finally:
        unsubscribe()
