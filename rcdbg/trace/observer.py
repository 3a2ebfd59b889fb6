"""From moments to events: what the machine's state at the watched places says has happened.

There is one observer for all recorders. It believes registers at once, and memory only as long as
the recorder says that it is current; what it cannot know it marks, and it never raises for
anything that a kernel does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rcdbg.errors import MemoryReadError, RcdbgError
from rcdbg.image.elf import Image
from rcdbg.image.symbols import simplified
from rcdbg.image.types import EnumType
from rcdbg.model.containers import dig, find_struct, lazy, mutex
from rcdbg.model.kernel import Kernel
from rcdbg.model.profile import Profile
from rcdbg.model.trap import kernel_stack
from rcdbg.model.value import DecodeError, Value
from rcdbg.riscv import causes, csr, sv39
from rcdbg.riscv.registers import MASK64, PRIVILEGES, unsigned
from rcdbg.target.protocol import Registers, Target
from rcdbg.target.virtual import VirtualMemory
from rcdbg.trace import arguments as abi
from rcdbg.trace.moment import Moment
from rcdbg.trace.plain import Plain, plain
from rcdbg.trace.probes import Probe, What, plan
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.sbi_calls import SbiCalls
from rcdbg.trace.thread_map import KnownThread, ThreadMap

STALE = "read from memory that may have changed since"
ASTRAY = "its sp is outside of its stack"

INFERRED = "from what came of it: no function told"

_ASKED_FOR = frozenset({3, 8, 9})
"""Exceptions by which code gives up the hart of itself: ebreak, and ecalls."""

_MAX_PENDING_CALLS = 64
_RA, _SP, _A0, _A6, _A7 = 1, 2, 10, 16, 17
_SPP = 1 << 8
_ECALL_FROM_S = 9
_MACHINE_MODE = 3


@dataclass(slots=True)
class _Trap:
    """A trap that is being handled: whom it interrupted, and why."""

    thread: KnownThread | None
    scause: int


@dataclass(slots=True)
class _Leaving:
    """A way out of a trap of which only the next moment will tell to whom it led."""

    moment: Moment
    probe: Probe


class Observer:
    """Turns the moments of one run, in their order, into events.

    `places` says where to look and what has to be known there, `unseen` which of the kinds cannot
    be seen in this kernel, and why. `memory` is the machine's physical memory; `satp` the CSR's
    value at the start. Raises UsageError for a function in `hits` that does not exist.
    """

    def __init__(
        self,
        image: Image,
        profile: Profile,
        kinds: Sequence[str],
        hits: Sequence[str],
        memory: Target,
        *,
        satp: int = 0,
    ) -> None:
        self.lost = 0
        self._image = image
        self._profile = profile
        self._target = memory
        self._satp = satp
        self.look_for(kinds, hits)
        self._seq = 0
        self._ticks: int | None = None
        self._threads = ThreadMap(profile)
        self._running: KnownThread | None = None
        self._traps: list[_Trap] = []
        self._leaving: _Leaving | None = None
        self._calls: list[tuple[int, int, int]] = []
        self._frame_start: int | None = None
        self._firmware = SbiCalls()
        self._signatures: dict[int, abi.Signature] = {}
        self._names: dict[int, str] = {}
        self._events: list[TraceEvent] = []
        self._trap_stack = self._find_trap_stack()
        self._handlers: dict[What, Callable[[Moment, Probe], None]] = {
            "satp": self._on_satp,
            "trap_enter": self._on_trap_enter,
            "trap_leave": self._on_trap_leave,
            "ready": self._on_ready,
            "wake": self._on_wake,
            "sleep": self._on_sleep,
            "exit": self._on_exit,
            "kill": self._on_kill,
            "alloc_entry": self._on_alloc_entry,
            "alloc_return": self._on_alloc_return,
            "frame_free": self._on_frame_free,
            "map": self._on_map,
            "unmap": self._on_unmap,
            "ecall": self._on_ecall,
            "hit": self._on_hit,
        }

    def look_for(self, kinds: Sequence[str], hits: Sequence[str]) -> None:
        """From here on see these kinds and functions; what is known of the run stays known.

        Raises UsageError for a function that does not exist, and then nothing has changed.
        """
        made = plan(self._image, self._profile, kinds, hits)
        self.places: tuple[Probe, ...] = tuple(made.probes)
        self.unseen: Mapping[str, str] = made.unseen
        self._kinds = frozenset((*kinds, "hit") if hits else kinds)
        self._probes: dict[int, list[Probe]] = {}
        for probe in self.places:
            self._probes.setdefault(probe.address, []).append(probe)
        self._watched = {probe.what for probe in self.places}

    @property
    def addresses(self) -> tuple[int, ...]:
        """All addresses to watch, without repeats, ascending."""
        return tuple(sorted(self._probes))

    def feed(self, moment: Moment) -> list[TraceEvent]:
        """The events that have happened by this moment, seen here for the first time."""
        moment = _at_the_ecall(moment)
        if self._leaving is not None:
            self._left(self._leaving, moment.registers.sp)
        if moment.ticks is not None:
            self._ticks = max(moment.ticks, self._ticks or 0)
        for probe in self._probes.get(moment.registers.pc, ()):
            self._handlers[probe.what](moment, probe)
        return self._take()

    def finish(self) -> list[TraceEvent]:
        """What was still open when the run ended: a line without an end, the last way out."""
        if self._leaving is not None:
            self._left(self._leaving, None)
        line = self._firmware.rest()
        if line is not None:
            moment, text, thread = line
            self._emit("console", moment, {"text": text}, thread, ("the line has no end",))
        return self._take()

    def _take(self) -> list[TraceEvent]:
        events, self._events = self._events, []
        return events

    def _emit(
        self,
        kind: str,
        moment: Moment,
        fields: Mapping[str, Any],
        thread: KnownThread | int | None = None,
        marks: Sequence[str] = (),
    ) -> None:
        if kind not in self._kinds:
            return
        self._seq += 1
        pc = moment.registers.pc
        self._events.append(
            TraceEvent(
                self._seq,
                kind,
                self._ticks if moment.ticks is not None else None,
                moment.instructions,
                moment.hart,
                thread.id if isinstance(thread, KnownThread) else thread,
                pc,
                self._name(self._virtual(pc)),
                fields,
                tuple(dict.fromkeys(marks)),
            )
        )

    # Whose moment it is.

    def _thread(self, moment: Moment) -> KnownThread | None:
        """Whose stack holds sp; on the trap stack, whom the trap interrupted."""
        sp = moment.registers.sp
        if self._traps and self._on_trap_stack(sp):
            return self._traps[0].thread
        found = self._by_stack(sp, moment)
        if found is None and self._traps:
            return self._traps[0].thread
        return found

    def _by_stack(self, sp: int, moment: Moment) -> KnownThread | None:
        found = self._threads.at(sp)
        if found is None and not self._is_static(sp):
            found = self._threads.look_up(sp, self._kernel(moment))
        return found

    def _on_trap_stack(self, sp: int) -> bool:
        low, high = self._trap_stack
        return low < sp <= high

    def _is_static(self, address: int) -> bool:
        """Whether it lies in the image: on the boot code's stack, for one."""
        return self._image.read(address, 1) is not None

    def _find_trap_stack(self) -> tuple[int, int]:
        registers = Registers(0, (0,) * 32, {})
        try:
            stack = kernel_stack(self._kernel(Moment(registers)))
        except (DecodeError, RcdbgError):
            return 0, 0
        return stack.start, stack.end

    # Memory and names.

    def _kernel(self, moment: Moment) -> Kernel:
        registers = moment.registers
        memory = VirtualMemory(self._target, self._satp, self._image.physical)
        return Kernel(self._image, self._target, registers, memory, self._profile)

    def _virtual(self, pc: int) -> int:
        probes = self._probes.get(pc)
        return probes[0].symbol if probes else pc

    def _name(self, address: int) -> str:
        name = self._names.get(address)
        if name is None:
            found = self._image.symbols.at(address)
            name = f"{simplified(found[0])}+{found[1]:#x}" if found else f"{address:#x}"
            self._names[address] = name
        return name

    def _symbol(self, address: int) -> str | None:
        found = self._image.symbols.at(address)
        if found is None:
            return None
        name = simplified(found[0])
        return f"{name}+{found[1]:#x}" if found[1] else name

    def _arguments(self, moment: Moment, probe: Probe) -> "_Call":
        how = self._signatures.get(probe.symbol)
        if how is None and probe.function is not None:
            how = abi.signature(probe.function, self._image.types)
            self._signatures[probe.symbol] = how
        return _Call(self._image, self._kernel(moment), moment, probe, how)

    # What has happened.

    def _on_satp(self, moment: Moment, probe: Probe) -> None:
        value = _csr(moment, "satp")
        if value is None or value == self._satp:
            return
        self._satp = value
        self._threads.something_changed()
        mode = csr.decode("satp", value).fields[0].text
        fields = {"mode": mode, "root_ppn": value & (1 << 44) - 1}
        self._emit("satp", moment, fields, self._thread(moment))

    def _on_trap_enter(self, moment: Moment, probe: Probe) -> None:
        sp = moment.registers.sp
        if self._traps and not self._on_trap_stack(sp) and self._threads.at(sp) is not None:
            self._traps.clear()  # a thread runs: the kernel came back from them another way
        thread = self._thread(moment)
        marks: tuple[str, ...] = ()
        if thread is None and not self._is_static(sp) and self._running is not None:
            thread, marks = self._running, (ASTRAY,)
        scause = _csr(moment, "scause") or 0
        self._traps.append(_Trap(thread, scause))
        fields = {
            "cause": causes.describe(scause),
            "scause": scause,
            "interrupt": causes.is_interrupt(scause),
            "sepc": _csr(moment, "sepc"),
            "stval": _csr(moment, "stval"),
            "privilege": _came_from(moment),
            "depth": len(self._traps),
        }
        self._emit("trap_enter", moment, fields, thread, marks)

    def _on_trap_leave(self, moment: Moment, probe: Probe) -> None:
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

    def _word(self, moment: Moment, address: int) -> int | None:
        try:
            data = self._kernel(moment).memory.read(address, 8)
        except MemoryReadError:
            return None
        return int.from_bytes(data, "little") if moment.memory_is_current() else None

    def _left(self, leaving: _Leaving, sp: int | None) -> None:
        """A trap has ended; `sp` is what goes on with, None if nobody will ever know."""
        self._leaving = None
        moment, depth = leaving.moment, len(self._traps)
        before = self._traps[-1].thread if self._traps else self._running
        fields = {"sepc": _csr(moment, "sepc"), "privilege": _came_from(moment), "depth": depth}
        self._emit("trap_leave", moment, fields, before)
        if depth > 1 and sp is not None and self._on_trap_stack(sp):
            self._traps.pop()
            return
        scause = self._traps[0].scause if self._traps else None
        self._traps.clear()
        if sp is None:
            return
        self._threads.something_changed()
        after = self._by_stack(sp, moment)
        if after is not None and after is not before:
            known = self._left_off(before, scause, moment)
            why = _why(before, scause) if known else "unknown"
            names = {"from": before.id if before else None, "to": after.id, "why": why}
            self._emit("switch", moment, names, before)
        if before is not None and before is not after and before.ended:
            self._threads.remove(before)
        if after is not None:
            self._running = after
            if after.is_sleeping:
                after.is_sleeping = False
                self._emit("wake", moment, {"id": after.id}, before, (INFERRED,))

    def _left_off(self, before: KnownThread | None, scause: int | None, moment: Moment) -> bool:
        """Finds out what no function told: that the thread sleeps, or has ended by a fault.

        Returns False where it cannot be known why the thread gave up the hart.
        """
        if before is None or before.ended or before.is_sleeping or scause is None:
            return True
        if causes.is_interrupt(scause):
            return True
        if causes.code(scause) not in _ASKED_FOR:
            if "kill" not in self._watched:
                before.ended = "fault"
                fields = {"id": before.id, "why": "fault"}
                self._emit("thread_exit", moment, fields, before, (INFERRED,))
            return True
        if "sleep" in self._watched:
            return True
        sleeps = self._threads.sleeps(before, self._kernel(moment))
        if sleeps is None or not moment.memory_is_current():
            return False
        if sleeps:
            before.is_sleeping = True
            self._emit("sleep", moment, {"id": before.id}, before)
        return True

    def _on_ready(self, moment: Moment, probe: Probe) -> None:
        self._made_ready(moment, probe, is_wake=False)

    def _on_wake(self, moment: Moment, probe: Probe) -> None:
        self._made_ready(moment, probe, is_wake=True)

    def _made_ready(self, moment: Moment, probe: Probe, *, is_wake: bool) -> None:
        by = self._thread(moment)
        try:
            thread, is_new, certain = self._threads.add(
                self._arguments(moment, probe).thread(self._profile), moment.same_thread_runs
            )
        except DecodeError as error:
            kind = "wake" if is_wake else "thread_add"
            self._emit(kind, moment, {"id": None, "stack": None}, by, (str(error),))
            return
        if thread.is_sleeping:
            thread.is_sleeping = False
            self._emit("wake", moment, {"id": thread.id}, by)
        elif is_new and not is_wake:
            fields = {"id": thread.id, "stack": [thread.start, thread.end]}
            self._emit("thread_add", moment, fields, by, () if certain else (STALE,))

    def _on_sleep(self, moment: Moment, probe: Probe) -> None:
        thread = self._thread(moment)
        if thread is not None:
            thread.is_sleeping = True
        self._emit("sleep", moment, {"id": thread.id if thread else None}, thread)

    def _on_exit(self, moment: Moment, probe: Probe) -> None:
        self._ended(moment, "exit")

    def _on_kill(self, moment: Moment, probe: Probe) -> None:
        self._ended(moment, "fault")

    def _ended(self, moment: Moment, why: str) -> None:
        thread = self._thread(moment)
        if thread is not None and thread.ended:
            return
        if thread is not None:
            thread.ended = why
        fields = {"id": thread.id if thread else None, "why": why}
        self._emit("thread_exit", moment, fields, thread)

    def _on_alloc_entry(self, moment: Moment, probe: Probe) -> None:
        x = moment.registers.x
        if not any(p.what == "alloc_return" for p in self._probes.get(x[_RA], ())):
            self.lost += 1  # called through a pointer: its return is at none of the places
            return
        self._calls.append((x[_RA], x[_SP], x[_A0]))
        del self._calls[:-_MAX_PENDING_CALLS]

    def _on_alloc_return(self, moment: Moment, probe: Probe) -> None:
        registers = moment.registers
        if not self._calls or self._calls[-1][:2] != (registers.pc, registers.sp):
            return
        _, _, entry_a0 = self._calls.pop()
        call = self._arguments(moment, probe)
        thread = self._thread(moment)
        try:
            held = call.result(entry_a0)
            ppn = None if held is None else held.scalar() + self._first_frame(moment, probe)
            self._emit("frame_alloc", moment, {"ppn": ppn}, thread, call.marks())
        except DecodeError as error:
            self._emit("frame_alloc", moment, {"ppn": None}, thread, (str(error),))

    def _first_frame(self, moment: Moment, probe: Probe) -> int:
        """What to add to the numbers of that function: none, or that of the frame with index 0."""
        name = self._profile.frame_allocator
        if probe.function is None or name in simplified(probe.function.path).split("::"):
            return 0
        if self._frame_start is None:
            data = lazy(self._kernel(moment).static_holding(name))
            if data is None:
                raise DecodeError(name, "not initialised yet")
            owner = find_struct(mutex(data).value, name)
            self._frame_start = owner[self._profile.frame_start].scalar()
        return self._frame_start

    def _on_frame_free(self, moment: Moment, probe: Probe) -> None:
        def fields(call: _Call) -> dict[str, Any]:
            return {"ppn": abi.number_in(call.value(1)) + self._first_frame(moment, probe)}

        self._told("frame_free", moment, probe, fields, {"ppn": None})

    def _on_map(self, moment: Moment, probe: Probe) -> None:
        def fields(call: _Call) -> dict[str, Any]:
            frame = _held(call.value(2))
            pa = None if frame is None else abi.number_in(frame) << sv39.PAGE_SHIFT
            flags = sv39.flags_text(abi.number_in(call.value(3)))
            return {"va": _page_address(abi.number_in(call.value(1))), "pa": pa, "flags": flags}

        self._told("map", moment, probe, fields, {"va": None, "pa": None, "flags": None})

    def _on_unmap(self, moment: Moment, probe: Probe) -> None:
        def fields(call: _Call) -> dict[str, Any]:
            va, pages = call.pages(1)
            return {"va": va, "pages": pages}

        self._told("unmap", moment, probe, fields, {"va": None, "pages": None})

    def _told(
        self,
        kind: str,
        moment: Moment,
        probe: Probe,
        fields: "Callable[[_Call], dict[str, Any]]",
        nothing: Mapping[str, Any],
    ) -> None:
        """An event whose fields are in arguments; with those in `nothing` where they are not."""
        call, thread = self._arguments(moment, probe), self._thread(moment)
        try:
            found = fields(call)
            self._emit(kind, moment, found, thread, call.marks())
        except DecodeError as error:
            self._emit(kind, moment, nothing, thread, (str(error),))

    def _on_ecall(self, moment: Moment, probe: Probe) -> None:
        if _csr(moment, "mcause") is None and moment.registers.privilege == 0:
            return
        thread = self._thread(moment)
        read = self._target.read_phys
        for kind, fields, marks in self._firmware.called(
            moment, read, thread.id if thread else None
        ):
            self._emit(kind, moment, fields, thread, marks)

    def _on_hit(self, moment: Moment, probe: Probe) -> None:
        name = self._symbol(probe.symbol) or f"{probe.symbol:#x}"
        call = self._arguments(moment, probe)
        values = call.plain(self._symbol)
        fields = {"symbol": name, "arguments": values}
        self._emit("hit", moment, fields, self._thread(moment), call.marks())


class _Call:
    """A function at its entry, or behind its call: its arguments, decoded when asked for."""

    def __init__(
        self,
        image: Image,
        kernel: Kernel,
        moment: Moment,
        probe: Probe,
        how: abi.Signature | None,
    ) -> None:
        self._types = image.types
        self._how = how
        self._kernel = kernel
        self._moment = moment
        self._probe = probe
        self._read_memory = False
        self._notes: list[str] = []

    def _read(self, address: int, size: int) -> bytes:
        self._read_memory = True
        return self._kernel.memory.read(address, size)

    def marks(self) -> tuple[str, ...]:
        """What is not certain about what was decoded so far."""
        stale = self._read_memory and not self._moment.memory_is_current()
        return (*self._notes, *((STALE,) if stale else ()))

    def value(self, position: int) -> Value:
        """The argument at that position; raises DecodeError if it cannot be had."""
        return abi.named(self._arguments(), position)

    def thread(self, profile: Profile) -> Value:
        """The argument that holds a thread: the first one after `self`."""
        return self.value(1)

    def result(self, entry_a0: int) -> Value | None:
        """What the function returned: the inside of an Option or a Result; None for neither."""
        if self._how is None:
            raise DecodeError("result", "the function is not in the debug info")
        x = self._moment.registers.x
        return _held(abi.returned(self._how, self._types, x, self._read, entry_a0))

    def pages(self, position: int) -> tuple[int, int]:
        """First address and number of pages of a range of pages, a segment, or one page."""
        value = self.value(position)
        target = getattr(value.type, "target", None)
        if target is not None:
            value = value.at(target, value.scalar(), value.path)
        try:
            start, end = dig(value, "start"), dig(value, "end")
        except DecodeError:
            return _page_address(value.scalar()), 1
        first, last = start.scalar(), end.scalar()
        if "Address" in start.type.name:
            first, last = first >> sv39.PAGE_SHIFT, last + sv39.PAGE_SIZE - 1 >> sv39.PAGE_SHIFT
        return _page_address(first), max(last - first, 0)

    def plain(self, symbol: Callable[[int], str | None]) -> dict[str, Plain]:
        """All arguments by name; one that cannot be had is a `?` and a mark."""
        found: dict[str, Plain] = {}
        function = self._probe.function
        if function is not None and function.is_altered:
            self._notes.append("the compiler has changed how the function is called")
        for number, argument in enumerate(self._arguments()):
            name = argument.name or f"argument {number}"
            try:
                found[name] = plain(abi.named((argument,), 0), symbol)
            except DecodeError as error:
                found[name] = "?"
                self._notes.append(f"{name}: {error.problem.why}")
        return found

    def _arguments(self) -> tuple[abi.Argument, ...]:
        if self._how is None:
            return ()
        return abi.arguments(self._how, self._types, self._moment.registers.x, self._read)


def _held(value: Value) -> Value | None:
    """The inside of an Option or a Result, None for None or Err; any other value itself."""
    if not isinstance(value.type, EnumType):
        return value
    name, inside = value.variant()
    if name in ("None", "Err"):
        return None
    return inside["__0"] if inside.has("__0") else inside


def _page_address(vpn: int) -> int:
    """The first address of a virtual page, whether its number has 27 bits or 52."""
    return (
        sv39.sign_extend((vpn << sv39.PAGE_SHIFT) & MASK64)
        if vpn < 1 << 27
        else (vpn << sv39.PAGE_SHIFT & MASK64)
    )


def _csr(moment: Moment, name: str) -> int | None:
    value = moment.registers.csrs.get(name)
    return None if value is None else unsigned(value)


def _came_from(moment: Moment) -> str:
    """The privilege that a trap came from, and that sret returns to: SPP."""
    status = _csr(moment, "sstatus")
    if status is None:
        status = _csr(moment, "mstatus")
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


def _at_the_ecall(moment: Moment) -> Moment:
    """A moment at the machine-mode trap vector, as one at the `ecall` that led there."""
    registers = moment.registers
    mtvec, mepc = _csr(moment, "mtvec"), _csr(moment, "mepc")
    if mtvec is None or mepc is None or registers.pc != mtvec & ~3:
        return moment
    if _csr(moment, "mcause") != _ECALL_FROM_S:
        return moment
    there = Registers(mepc, registers.x, registers.csrs, 1)
    return replace(moment, registers=there)


def _never() -> bool:
    return False
