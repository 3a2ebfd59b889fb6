"""Traps and thread switches: who was interrupted, why, and who goes on."""

from dataclasses import dataclass, replace

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Registers
from rcdbg.riscv import causes
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import MASK64, PRIVILEGES
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.probes import Handler, Probe
from rcdbg.trace.observers.scene import OpenTrap, Scene, csr_value
from rcdbg.trace.observers.thread_map import KnownThread

ASTRAY = "its sp is outside of its stack"

INFERRED = "from what came of it: no function told"
UNTOLD = "the recording ends before it is known which thread goes on"

_ASKED_FOR = frozenset({3, 8, 9})
"""Exceptions by which code gives up the hart of itself: ebreak, and ecalls."""

_SPP = 1 << 8
_USER = PRIVILEGES[0]


@dataclass(slots=True)
class _Leaving:
    """A way out of a trap of which only the next moment will tell to whom it led."""

    moment: Moment
    probe: Probe


class TrapObserver:
    """Tells of traps, switches and page tables, and keeps the scene's `traps` and `running`."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._leaving: _Leaving | None = None

    def handlers(self) -> dict[str, Handler]:
        """What it does at which sights."""
        return {
            "satp": self.on_satp,
            "trap_enter": self.on_trap_enter,
            "trap_leave": self.on_trap_leave,
        }

    def settle(self, sp: int | None) -> None:
        """The run is at a new moment, where sp is that, or at its end: a way out has led there."""
        if self._leaving is not None:
            self._left(self._leaving, sp)

    def on_satp(self, moment: Moment, probe: Probe) -> None:
        """The instruction behind a write of satp."""
        value = csr_value(moment, "satp")
        if value is None or value == self._scene.satp:
            return
        self._scene.satp = value
        self._scene.threads.something_changed()
        satp = Satp(value)
        fields = {"mode": satp.name, "root_ppn": satp.ppn}
        self._scene.emit("satp", moment, fields, self._scene.thread(moment))

    def on_trap_enter(self, moment: Moment, probe: Probe) -> None:
        """The first instruction of the trap vector."""
        scene, sp = self._scene, moment.registers.sp
        runs = not scene.on_trap_stack(sp) and scene.threads.at(sp, scene.root)
        if scene.traps and (runs or _came_from(moment) == _USER):
            scene.traps.clear()  # a thread runs: the kernel came back from them another way
        thread = scene.thread(moment)
        marks: tuple[str, ...] = ()
        if scene.is_listed:
            thread = thread or scene.running
        elif thread is None and not scene.is_static(sp) and scene.running is not None:
            thread, marks = scene.running, (ASTRAY,)
        scause = csr_value(moment, "scause") or 0
        scene.traps.append(OpenTrap(thread, scause))
        fields = {
            "cause": causes.describe(scause),
            "scause": scause,
            "interrupt": causes.is_interrupt(scause),
            "sepc": csr_value(moment, "sepc"),
            "sepc_place": self._place(moment),
            "stval": csr_value(moment, "stval"),
            "privilege": _came_from(moment),
            "depth": len(scene.traps),
        }
        scene.emit("trap_enter", moment, fields, thread, marks)

    def on_trap_leave(self, moment: Moment, probe: Probe) -> None:
        """The last place before an sret where its CSRs are known."""
        if self._scene.is_listed:
            self._left(_Leaving(moment, probe), moment.registers.sp)
            return
        sp: int | None = None
        if probe.sp is None:
            sp = None if probe.sp_unknown else moment.registers.sp
        elif not probe.sp_unknown:
            sp = (moment.registers.x[probe.sp.base] + probe.sp.offset) & MASK64
            if probe.sp.in_memory:
                sp = self._word(moment, sp)
        if sp is None:
            registers = moment.registers
            held = {name: registers.csrs[name] for name in ("sepc", "sstatus", "mstatus")
                    if name in registers.csrs}  # fmt: skip
            kept = Registers(registers.pc, registers.x, held, registers.privilege)
            # Its memory is looked at when the next moment has come.
            moment = replace(moment, registers=kept, memory_is_current=_never)
            self._leaving = _Leaving(moment, probe)
        else:
            self._left(_Leaving(moment, probe), sp)

    def _place(self, moment: Moment) -> str | None:
        """sepc as `symbol+offset`."""
        sepc = csr_value(moment, "sepc")
        return None if sepc is None else self._scene.symbol(sepc)

    def _word(self, moment: Moment, address: int) -> int | None:
        try:
            data = self._scene.kernel(moment).memory.read(address, 8)
        except MemoryReadError:
            return None
        return int.from_bytes(data, "little") if moment.memory_is_current() else None

    def _left(self, leaving: _Leaving, sp: int | None) -> None:
        """A trap has ended; `sp` is what goes on with, None if nobody will ever know."""
        self._leaving = None
        scene = self._scene
        moment, depth = leaving.moment, len(scene.traps)
        before = scene.traps[-1].thread if scene.traps else scene.running
        fields = {
            "sepc": csr_value(moment, "sepc"),
            "sepc_place": self._place(moment),
            "privilege": _came_from(moment),
            "depth": depth,
        }
        scene.emit("trap_leave", moment, fields, before, () if sp is not None else (UNTOLD,))
        if depth > 1 and sp is not None and self._is_inside(moment, sp):
            scene.traps.pop()
            return
        scause = scene.traps[0].scause if scene.traps else None
        scene.traps.clear()
        if sp is None:
            return
        scene.threads.something_changed()
        after = scene.by_memory(moment) if scene.is_listed else scene.by_stack(sp, moment)
        if after is not None and after is not before:
            known = self._left_off(before, scause, moment)
            why = _why(before, scause) if known else "unknown"
            names = {"from": before.id if before else None, "to": after.id, "why": why}
            scene.emit("switch", moment, names, before)
        if before is not None and before is not after and before.ended:
            scene.threads.remove(before)
        if after is not None:
            scene.running = after
            if after.is_sleeping:
                after.is_sleeping = False
                scene.emit("wake", moment, {"id": after.id}, before, (INFERRED,))

    def _is_inside(self, moment: Moment, sp: int) -> bool:
        """Whether the trap that ends interrupted another one."""
        if self._scene.is_listed:
            return _came_from(moment) != _USER
        return self._scene.on_trap_stack(sp)

    def _left_off(self, before: KnownThread | None, scause: int | None, moment: Moment) -> bool:
        """Finds out what no function told: that the thread sleeps, or has ended by a fault.

        Returns False where it cannot be known why the thread gave up the hart.
        """
        scene = self._scene
        if before is None or before.ended or before.is_sleeping or scause is None:
            return True
        if causes.is_interrupt(scause):
            return True
        if scene.is_listed and scene.threads.has_ended(before, scene.kernel(moment)):
            before.ended = "exit" if causes.code(scause) in _ASKED_FOR else "fault"
            fields = {"id": before.id, "why": before.ended}
            scene.emit("thread_exit", moment, fields, before, (INFERRED,))
            return True
        if causes.code(scause) not in _ASKED_FOR:
            if "kill" not in scene.watched:
                before.ended = "fault"
                fields = {"id": before.id, "why": "fault"}
                scene.emit("thread_exit", moment, fields, before, (INFERRED,))
            return True
        if "sleep" in scene.watched:
            return True
        sleeps = scene.threads.sleeps(before, scene.kernel(moment))
        if sleeps is None or not moment.memory_is_current():
            return False
        if sleeps:
            before.is_sleeping = True
            scene.emit("sleep", moment, {"id": before.id}, before)
        return True


def _never() -> bool:
    return False


def _came_from(moment: Moment) -> str:
    """The privilege that a trap came from, and that sret returns to: SPP."""
    status = csr_value(moment, "sstatus")
    if status is None:
        status = csr_value(moment, "mstatus")
    return "?" if status is None else PRIVILEGES[1 if status & _SPP else 0]


def _why(before: KnownThread | None, scause: int | None) -> str:
    """Why another thread goes on after a trap with that cause."""
    if before is None:
        return "start"
    if before.ended:
        return before.ended
    if before.is_sleeping:
        return "sleep"
    if scause is None:
        return "unknown"
    if not causes.is_interrupt(scause):
        return "yield"
    return "timer" if scause == causes.named("timer") else "unknown"
