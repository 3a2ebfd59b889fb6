"""A running guest over QEMU's monitor: its registers, and a stop that is over in a moment."""

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from functools import cached_property

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.machine.qemu import timer
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.machine.qemu.monitor import Monitor, command, human

SSTATUS_MASK = 0x8000_0003_000D_E762
"""The bits of mstatus that sstatus shows (privileged spec, "Supervisor Status Register")."""

_SHARED = ("satp", "stvec", "scause", "sepc", "stval", "sscratch")
_STOP, _CONT = command("stop"), command("cont")


def registers(monitor: Monitor, mtime: int | None = None) -> Registers:
    """The registers by `info registers`, and `time` at `mtime`: none of this stops the guest.

    While it runs, pc and GPRs are those that QEMU last stored, each from a moment of its own. The
    monitor gives neither the privilege nor scounteren. Raises MachineError if QEMU has ended.
    """
    with monitor.lock:
        monitor.forget()
        monitor.send(*_looks(mtime))
        return _understood(*(str(monitor.answer()) for _ in _looks(mtime)))


def _looks(mtime: int | None) -> list[bytes]:
    looks = [human("info registers")]
    return looks if mtime is None else [*looks, human(timer.dump_command(mtime))]


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
def paused(monitor: Monitor, mtime: int | None = None) -> Iterator[Pause]:
    """Within it the guest stands; no debugger may be connected to QEMU's stub.

    Its length is the time between QEMU's own STOP and RESUME events (QMP reference, "run-state"),
    or, where one of them does not come, that between asking for them.
    """
    with monitor.lock, _no_collection():
        texts: list[str] = []
        looks = _looks(mtime)

        def registers() -> Registers:
            if not texts:
                texts.extend(str(monitor.answer()) for _ in looks)
            return _understood(*texts)

        pause = Pause(registers)
        monitor.forget()
        asked = time.perf_counter()
        try:
            # In one go: QEMU prints the registers while the caller copies memory.
            monitor.send(_STOP, *looks)
            monitor.answer()
            yield pause
        except BaseException:
            monitor.send(_CONT)
            monitor.forget()
            raise
        # QEMU does one after the other: the registers are those of the stop, though not yet read.
        monitor.send(_CONT)
        if not texts:
            texts.extend(str(monitor.answer()) for _ in looks)
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
