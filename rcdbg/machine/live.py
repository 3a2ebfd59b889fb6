"""A running guest over QEMU's monitor: its registers, and a stop that is over in a moment."""

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from functools import cached_property

from rcdbg.errors import MachineError
from rcdbg.machine.oracles import parse_info_registers
from rcdbg.machine.quick_monitor import QuickMonitor, command
from rcdbg.target.protocol import Registers

SSTATUS_MASK = 0x8000_0003_000D_E762
"""The bits of mstatus that sstatus shows (privileged spec, "Supervisor Status Register")."""

_SHARED = ("satp", "stvec", "scause", "sepc", "stval", "sscratch")
_STOP, _CONT = command("stop"), command("cont")
_INFO_REGISTERS = command("human-monitor-command", command_line="info registers")


def registers(monitor: QuickMonitor) -> Registers:
    """The registers by `info registers`, which does not stop the guest.

    While it runs, pc and GPRs are those that QEMU last stored, each from a moment of its own. The
    monitor gives neither the privilege nor scounteren. Raises MachineError if QEMU has ended.
    """
    with monitor.lock:
        monitor.forget()
        monitor.send(_INFO_REGISTERS)
        return _understood(monitor.answer())


def _understood(text: str) -> Registers:
    try:
        values = parse_info_registers(text)
        csrs = {name: values[name] for name in _SHARED}
        csrs["sstatus"] = values["mstatus"] & SSTATUS_MASK
        csrs["sie"] = values["mie"] & values["mideleg"]
        csrs["sip"] = values["mip"] & values["mideleg"]
        x = tuple(values[f"x{number}"] for number in range(32))
    except (ValueError, KeyError) as error:
        raise MachineError(f"QEMU's monitor gives no registers: {error}") from error
    return Registers(values["pc"], x, csrs)


class Pause:
    """A stop; `seconds` is its length once it is over."""

    def __init__(self, registers: Callable[[], Registers], seconds: float = 0.0) -> None:
        self._registers = registers
        self.seconds = seconds

    @cached_property
    def registers(self) -> Registers:
        """Those of the stop, also when it is over, when there is more time to decode them."""
        return self._registers()


@contextlib.contextmanager
def paused(monitor: QuickMonitor) -> Iterator[Pause]:
    """Within it the guest stands; no debugger may be connected to QEMU's stub.

    Its length is the time between QEMU's own STOP and RESUME events (QMP reference, "run-state"),
    or, where one of them does not come, that between asking for them.
    """
    with monitor.lock, _no_collection():
        text: list[str] = []

        def registers() -> Registers:
            if not text:
                text.append(monitor.answer())
            return _understood(text[0])

        pause = Pause(registers)
        monitor.forget()
        asked = time.perf_counter()
        try:
            # In one go: QEMU prints the registers while the caller copies memory.
            monitor.send(_STOP, _INFO_REGISTERS)
            monitor.answer()
            yield pause
        except BaseException:
            monitor.send(_CONT)
            monitor.forget()
            raise
        # QEMU does one after the other: the registers are those of the stop, though not yet read.
        monitor.send(_CONT)
        if not text:
            text.append(monitor.answer())
        monitor.answer()
        pause.seconds = time.perf_counter() - asked
        times = monitor.times()
        if "STOP" in times and "RESUME" in times:
            # The wall clock may have been set in between; then our own measure has to do.
            between = times["RESUME"] - times["STOP"]
            pause.seconds = between if 0 <= between <= pause.seconds else pause.seconds


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage is not collected within: that may take longer than all the rest."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
