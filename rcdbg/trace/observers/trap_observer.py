"""Traps and thread switches: who was interrupted, why, and who goes on."""

from dataclasses import dataclass, replace

from rcdbg.guest.protocol import Registers
from rcdbg.riscv import causes
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import PRIVILEGES
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.probes import Handler, Probe
from rcdbg.trace.observers.restored import Term
from rcdbg.trace.observers.scene import OpenTrap, Scene, csr_value
from rcdbg.trace.observers.syscall_observer import SyscallObserver
from rcdbg.trace.observers.thread_map import KnownThread

ASTRAY = "its sp is outside of its stack"

INFERRED = "from what came of it: no function told"
UNTOLD = "the recording ends before it is known which thread goes on"

_ASKED_FOR = frozenset({3, 8, 9})
"""Exceptions by which code gives up the hart of itself: ebreak, and ecalls."""

_SPP = 1 << 8
_USER, _KERNEL = PRIVILEGES[0], PRIVILEGES[1]


@dataclass(slots=True)
class _Leaving:
    """A way out of a trap of which only the next moment will tell to whom it led."""

    moment: Moment
    sepc: int | None
    """Where it goes on."""
    privilege: str


class TrapObserver:
    """Tells of traps, switches and page tables, and keeps the scene's `traps` and `running`."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._syscalls = SyscallObserver(scene)
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
        privilege = _came_from(moment)
        runs = not scene.on_trap_stack(sp) and scene.threads.at(sp, scene.root)
        if scene.traps and (runs or privilege == _USER):
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
            "sepc_place": self._place(csr_value(moment, "sepc")),
            "stval": csr_value(moment, "stval"),
            "privilege": privilege,
            "depth": len(scene.traps),
        }
        scene.emit("trap_enter", moment, fields, thread, marks)
        if privilege != _KERNEL:
            self._syscalls.entered(moment, thread)

    def on_trap_leave(self, moment: Moment, probe: Probe) -> None:
        """The last place before an sret where its CSRs are known."""
        sp, a0 = self._term(moment, probe.sp), self._term(moment, probe.a0)
        sepc, privilege = csr_value(moment, "sepc"), _came_from(moment)
        through = None
        if privilege == _KERNEL and sepc is not None and self._scene.symbol(sepc) is None:
            through = self._scene.user.goes_through(moment, a0)
        if through is not None:
            (sepc, a0), privilege = through, _USER
        if privilege == _USER:
            self._syscalls.left(moment, sp, sepc, a0)
        leaving = _Leaving(moment, sepc, privilege)
        if self._scene.is_listed:
            self._left(leaving, moment.registers.sp)
        elif sp is None:
            registers = moment.registers
            # Its memory is looked at when the next moment has come.
            kept = Registers(registers.pc, registers.x, {}, registers.privilege)
            moment = replace(moment, registers=kept, memory_is_current=_never)
            self._leaving = replace(leaving, moment=moment)
        else:
            self._left(leaving, sp)

    def _place(self, sepc: int | None) -> str | None:
        """sepc as `symbol+offset`."""
        return None if sepc is None else self._scene.symbol(sepc)

    def _term(self, moment: Moment, term: Term | None) -> int | None:
        """What a register will be at the end of the way out; None where that cannot be told."""
        if term is None:
            return None

        def word(address: int) -> int | None:
            return self._scene.user.word(moment, address)

        found = term.value(moment.registers.x, lambda name: csr_value(moment, name), word)
        return None if term.at is not None and not moment.memory_is_current() else found

    def _left(self, leaving: _Leaving, sp: int | None) -> None:
        """A trap has ended; `sp` is what goes on with, None if nobody will ever know."""
        self._leaving = None
        scene = self._scene
        moment, depth = leaving.moment, len(scene.traps)
        before = scene.traps[-1].thread if scene.traps else scene.running
        fields = {
            "sepc": leaving.sepc,
            "sepc_place": self._place(leaving.sepc),
            "privilege": leaving.privilege,
            "depth": depth,
        }
        scene.emit("trap_leave", moment, fields, before, () if sp is not None else (UNTOLD,))
        if depth > 1 and sp is not None and self._is_inside(leaving, sp):
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

    def _is_inside(self, leaving: _Leaving, sp: int) -> bool:
        """Whether the trap that ends interrupted another one."""
        if self._scene.is_listed:
            return leaving.privilege != _USER
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
