"""What is known of a run while it is observed: whose moment it is, and how to tell an event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcdbg.errors import RcdbgError
from rcdbg.guest.protocol import Registers, Target
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.elf import Image
from rcdbg.image.symbols import simplified
from rcdbg.kernels.reading import Overlay
from rcdbg.kernels.recognise import describe
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.listed import is_listed
from rcdbg.model.threads.trap import kernel_stack
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import unsigned
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers import arguments as abi
from rcdbg.trace.observers.call import Call
from rcdbg.trace.observers.probes import Plan, Probe
from rcdbg.trace.observers.thread_map import KnownThread, ThreadMap
from rcdbg.trace.observers.trapped_code import TrappedCode
from rcdbg.trace.record import TraceEvent


@dataclass(slots=True)
class OpenTrap:
    """A trap that is being handled: whom it interrupted, and why."""

    thread: KnownThread | None
    scause: int


class Scene:
    """What the parts of an observer share, and all that they change together.

    `running` is the thread that went on after the last trap, `traps` those that are being handled,
    the outermost first. `target` is physical memory, `satp` the CSR's value.
    """

    def __init__(
        self,
        image: Image,
        overlay: Overlay,
        wanted: Plan,
        memory: Target,
        satp: int,
    ) -> None:
        self.lost = 0
        self.image = image
        self.overlay = overlay
        self.description = describe(image, overlay)
        self.target = memory
        self.satp = satp
        self.look_for(wanted)
        self.threads = ThreadMap()
        self.running: KnownThread | None = None
        self.traps: list[OpenTrap] = []
        self._seq = 0
        self._ticks: int | None = None
        self._signatures: dict[int, abi.Signature] = {}
        self._names: dict[int, str] = {}
        self._events: list[TraceEvent] = []
        self._trap_stack = self._find_trap_stack()
        self.is_listed = is_listed(self.kernel(Moment(Registers(0, (0,) * 32, {}))))
        self.user = TrappedCode(self.kernel)

    def look_for(self, wanted: Plan) -> None:
        """From here on see what that plan says; what is known of the run stays known."""
        self.plan = wanted
        self._kinds = frozenset(wanted.kinds)
        self.probes: dict[int, list[Probe]] = {}
        for probe in wanted.probes:
            self.probes.setdefault(probe.address, []).append(probe)
        self.watched = {probe.what for probe in wanted.probes}

    def wants(self, *kinds: str) -> bool:
        """Whether one of these kinds is recorded."""
        return not self._kinds.isdisjoint(kinds)

    def clock(self, ticks: int | None) -> None:
        """It is that time now; time never goes back."""
        if ticks is not None:
            self._ticks = max(ticks, self._ticks or 0)

    def take(self) -> list[TraceEvent]:
        """The events that were told since this was asked last."""
        events, self._events = self._events, []
        return events

    def emit(
        self,
        kind: str,
        moment: Moment,
        fields: Mapping[str, Any],
        thread: KnownThread | int | None = None,
        marks: Sequence[str] = (),
    ) -> None:
        """An event, if its kind is wanted: seen at that moment, done by that thread."""
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

    def join(self, moment: Moment) -> None:
        """Learn from memory what the moments before this one would have told."""
        sp = moment.registers.sp
        if self.is_listed:
            self.running = self.by_memory(moment)
            return
        if not self.on_trap_stack(sp):
            self.running = self.by_stack(sp, moment)
            return
        self.running = self.threads.current(self.kernel(moment))
        self.traps.append(OpenTrap(self.running, csr_value(moment, "scause") or 0))

    def thread(self, moment: Moment) -> KnownThread | None:
        """Whose stack holds sp; on the trap stack, whom the trap interrupted."""
        if self.is_listed:
            return self.by_memory(moment)
        sp = moment.registers.sp
        if self.traps and self.on_trap_stack(sp):
            return self.traps[0].thread
        found = self.by_stack(sp, moment)
        if found is None and self.traps:
            return self.traps[0].thread
        return found

    def by_memory(self, moment: Moment) -> KnownThread | None:
        """Whom the kernel counts as the running one; None if memory may have changed since."""
        found = self.threads.current(self.kernel(moment))
        return found if moment.memory_is_current() else None

    def by_stack(self, sp: int, moment: Moment) -> KnownThread | None:
        """The thread whose stack holds `sp`, looked up in the kernel if it is not known yet."""
        found = self.threads.at(sp, self.root)
        if found is None and not self.is_static(sp):
            found = self.threads.look_up(sp, self.root, self.kernel(moment))
        return found

    @property
    def root(self) -> int | None:
        """The PPN of the active root table; None before paging is on."""
        return Satp(self.satp).root

    def on_trap_stack(self, sp: int) -> bool:
        """Whether it points into the stack on which the kernel handles traps."""
        low, high = self._trap_stack
        return low < sp <= high

    def is_static(self, address: int) -> bool:
        """Whether it lies in the image: on the boot code's stack, for one."""
        return self.image.read(address, 1) is not None

    def _find_trap_stack(self) -> tuple[int, int]:
        registers = Registers(0, (0,) * 32, {})
        try:
            stack = kernel_stack(self.kernel(Moment(registers)))
        except (DecodeError, RcdbgError):
            return 0, 0
        return stack.start, stack.end

    # Memory and names.

    def kernel(self, moment: Moment) -> Kernel:
        """The kernel at that moment, for decoders."""
        registers = moment.registers
        memory = VirtualMemory(self.target, self.satp, self.image.physical)
        return Kernel(self.image, self.target, registers, memory, self.overlay)

    def _virtual(self, pc: int) -> int:
        probes = self.probes.get(pc)
        return probes[0].symbol if probes else pc

    def _name(self, address: int) -> str:
        name = self._names.get(address)
        if name is None:
            found = self.image.symbols.at(address)
            name = f"{simplified(found[0])}+{found[1]:#x}" if found else f"{address:#x}"
            self._names[address] = name
        return name

    def symbol(self, address: int) -> str | None:
        """The address as `symbol+offset`, or None where there is no symbol."""
        found = self.image.symbols.at(address)
        if found is None:
            return None
        name = simplified(found[0])
        return f"{name}+{found[1]:#x}" if found[1] else name

    def call(self, moment: Moment, probe: Probe) -> Call:
        """The call that the hart is at the entry of, or right behind."""
        how = self._signatures.get(probe.symbol)
        if how is None and probe.function is not None:
            how = abi.signature(probe.function, self.image.types)
            self._signatures[probe.symbol] = how
        return Call(self.image, self.kernel(moment), moment, probe, how)


def csr_value(moment: Moment, name: str) -> int | None:
    """A CSR as an unsigned number; None if it is not known of that moment."""
    value = moment.registers.csrs.get(name)
    return None if value is None else unsigned(value)
