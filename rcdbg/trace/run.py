"""A kernel booted under QEMU's stub and run from place to place: for the CLI and for tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from rcdbg.errors import ImageError, RcdbgError
from rcdbg.guest.memory import RamTarget
from rcdbg.guest.snapshot_writer import Machine
from rcdbg.image.elf import Image, load_image
from rcdbg.image.flat import flat_image, is_loadable
from rcdbg.image.match import doubt_of
from rcdbg.image.programs.shelf import programs_of
from rcdbg.kernels.description import Description
from rcdbg.kernels.reading import NOTHING, Overlay
from rcdbg.kernels.recognise import describe as description_of
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.qemu.board import RAM_BASE, parse_memory
from rcdbg.machine.qemu.config import DEFAULT_CPU, DEFAULT_MACHINE, PROGRAM, QemuConfig
from rcdbg.machine.qemu.own_line import OwnLine
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.machine.stop import Stop
from rcdbg.machine.stub.client import StubClient
from rcdbg.model.kernel import Kernel
from rcdbg.model.panics import panic_entry
from rcdbg.model.programs.explained import place_now
from rcdbg.model.read import read_state
from rcdbg.model.state import KernelState, Place
from rcdbg.riscv.registers import unsigned
from rcdbg.trace.conditions import Condition, Exited
from rcdbg.trace.deterministic import INSTRUCTION_CLOCK, Replaced, replace_wfi
from rcdbg.trace.moment import TIMEBASE_HZ

DEFAULT_SECONDS = 30.0
"""Deadline for one condition; a kernel of this kind needs well under one second."""

NANOSECONDS_PER_INSTRUCTION = 8
"""Of such a machine. Its `mcycle` counts nanoseconds of guest time."""

NANOSECONDS_PER_TICK = 10**9 // TIMEBASE_HZ
"""Of guest time, to a tick of the timebase."""

_EXIT_SECONDS = 10.0
_CONSOLE_LINES = 3


class MissedError(RcdbgError):
    """What was waited for did not come: the machine ended, or the deadline passed."""


class EndedError(MissedError):
    """What was waited for did not come: the machine ended."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What to boot: `kernel` is an ELF; `append` the kernel's command line.

    A `deterministic` machine counts time in instructions: however busy the host is, the same
    things happen at the same guest time. It is two to three times slower. Its `wfi` instructions
    do nothing (see `Run.replaced`).
    """

    kernel: Path
    append: str = ""
    memory: str = "128M"
    qemu: str | None = None
    deterministic: bool = False
    own: OwnLine | None = None
    """The user's own QEMU command line, for what the above does not say."""
    overlay: Overlay = NOTHING
    """What the user says of the kernel's names."""
    programs: tuple[Path, ...] = ()
    """Folders, disk images and ELFs with the programs that it runs in U-mode."""

    @property
    def places(self) -> tuple[Path, ...]:
        """Where programs are: as the user says, and on the disks."""
        disks = () if self.own is None else tuple(d for d in self.own.disks if d.is_file())
        return (*self.programs, *disks)

    def tell_of_programs(self, image: Image) -> None:
        """Let the programs of the kernel be looked for at these places."""
        programs_of(image).look_in(self.places)

    def config(self, image: Image | None = None) -> QemuConfig:
        """The same for QEMU; `image` is the kernel, if it is loaded already.

        An ELF with load addresses outside of RAM is made into one piece, which QEMU can load.
        Raises ImageError for an ELF that cannot be read.
        """
        own = self.own or OwnLine(PROGRAM, machine=DEFAULT_MACHINE)
        file, contents = own.kernel or self.kernel, None
        booted = (image or load_image(file)) if file == self.kernel else _elf_in(file)
        if booted is not None and not is_loadable(booted, RAM_BASE, parse_memory(self.memory)):
            contents = flat_image(booted)
        return QemuConfig(
            file,
            memory=self.memory,
            append=self.append,
            bios=own.bios or "default",
            machine=own.machine or "",
            cpu=own.cpu or (DEFAULT_CPU if own.takes_any_cpu else ""),
            smp=own.smp or "",
            qemu=self.qemu,
            icount=INSTRUCTION_CLOCK if self.deterministic else None,
            # A full socket makes the firmware poll the line until the host has read it.
            serial="pipe" if self.deterministic else "socket",
            contents=contents,
            own=self.own,
        )


def _elf_in(file: Path) -> Image | None:
    """The ELF that is booted in place of the one that is debugged; None for a raw image."""
    try:
        return load_image(file)
    except ImageError:
        return None


class Runner(Protocol):
    """What lets a guest run and stops it: QEMU's stub, or a recording of a run.

    Raises MachineError when the machine is gone, or when the guest is not in the state needed.
    """

    @property
    def running(self) -> bool:
        """Whether the guest was set going and its stop has not been seen yet."""

    def insert_breakpoint(self, address: int, /) -> int:
        """Stop before each execution of virtual `address`, in any address space; returns an id."""

    def remove_breakpoint(self, number: int, /) -> None:
        """Take out the breakpoint with this id."""

    def has_breakpoint(self, address: int | None, /) -> bool:
        """Whether one of these breakpoints is there."""

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""

    def interrupt(self) -> None:
        """Ask a running guest to stop; does nothing if it stands."""

    def wait_stop(self, timeout: float, /) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""

    def ticks(self) -> int:
        """The guest's time, in ticks of its timebase. The guest has to stand."""


class Run:
    """A booted kernel, stopped before its first instruction; a context manager that ends it.

    `config` is the machine, if it is to be another one than `boot` says. Raises ImageError for an
    unusable ELF and MachineError if QEMU cannot be started.
    `replaced` are the instructions in memory that are not those of the ELF: on a deterministic
    machine each `wfi`, which QEMU would wait in by the host's clock, is a `nop`. The specification
    allows a wfi to be just that (privileged spec, section 3.3.3). `doubt` is why the ELF may not be
    the kernel in memory, in words.
    """

    replaced: tuple[Replaced, ...]

    def __init__(
        self, boot: Boot, image: Image | None = None, config: QemuConfig | None = None
    ) -> None:
        self.image = image or load_image(boot.kernel)
        self.overlay = boot.overlay
        self.deterministic = boot.deterministic
        boot.tell_of_programs(self.image)
        self.qemu = Qemu(config or boot.config(self.image))
        try:
            self.stub = StubClient(self.qemu.gdb_socket)
            memory, base = self.qemu.ram.memory, self.qemu.ram.base
            self.target = RamTarget(memory, base, lambda: self.stub.registers(with_time=True))
            # For what is asked at every stop, of which there may be thousands a second.
            self._quick = RamTarget(memory, base, self.stub.registers)
            self.doubt = doubt_of(self.image, self.target.read_phys)
            self.replaced = replace_wfi(self.image, memory, base) if boot.deterministic else ()
        except BaseException:
            self.qemu.close()
            raise

    def doubted(self) -> str | None:
        """The doubt as it is by now: a kernel may be loaded late. Raises ImageError."""
        if self.doubt is not None:
            self.doubt = doubt_of(self.image, self.target.read_phys)
        return self.doubt

    @property
    def runner(self) -> Runner:
        """Lets the kernel run and stops it."""
        return self.stub

    @property
    def console(self) -> str:
        """What the firmware and the kernel have printed so far."""
        return self.qemu.console.text

    @property
    def description(self) -> Description:
        """What the kernel's things are called."""
        return description_of(self.image, self.overlay)

    def kernel(self) -> Kernel:
        """The kernel as it stands now."""
        return Kernel.now(self.image, self.target, self.overlay)

    def state(self) -> KernelState:
        """Everything decoded, as it stands now."""
        return read_state(self.kernel())

    def settle(self) -> None:
        """Wait until all that was printed before the kernel stopped is in `console`."""
        self.qemu.settle()

    def end(self) -> int:
        """The exit status of a machine that is shut down, once QEMU has ended."""
        return self.qemu.wait(_EXIT_SECONDS)

    def until(
        self, condition: Condition, seconds: float = DEFAULT_SECONDS, *, or_panic: bool = False
    ) -> Kernel | None:
        """Run to the next `condition`; the kernel stands there afterwards.

        Returns the kernel at that moment, or None after a shutdown that was waited for. With
        `or_panic` it stands where it gives up if it does before. Raises MissedError if the machine
        ends first or `seconds` pass; UsageError for one that this kernel cannot have.
        """
        deadline = Deadline(seconds)
        places = list(condition.places(self.image, self.description))
        panic = panic_entry(self.image, self.description) if or_panic else None
        if panic in places:
            panic = None  # what was asked for
        elif panic is not None:
            places.append(panic)
        inserted = [self.stub.insert_breakpoint(address) for address in places]
        try:
            while True:
                self.stub.resume()
                stop = self.stub.wait_stop(deadline.remaining)
                if stop.reason == "exited":
                    inserted.clear()
                    self._ended(condition)
                    return None
                self.settle()
                now = Kernel.now(self.image, self._quick, self.overlay)
                # A condition is asked at its own places alone: some count.
                if unsigned(now.registers.pc) == panic or condition.happened(now):
                    return self.kernel()
        except DeadlineError as error:
            raise MissedError(self._hang(condition, seconds)) from error
        finally:
            for number in inserted:
                self.stub.remove_breakpoint(number)

    def _ended(self, condition: Condition) -> None:
        status = self.end()
        if isinstance(condition, Exited) and condition.status in (None, status):
            return
        last = [line for line in self.console.splitlines() if line.strip()][-_CONSOLE_LINES:]
        said = f"; it said: {last[-1].strip()}" if last else ""
        raise EndedError(f"the kernel ended with status {status} before {condition}{said}")

    def _hang(self, condition: Condition, seconds: float) -> str:
        self.stub.interrupt()
        self.stub.wait_stop(_EXIT_SECONDS)
        where = describe(place_now(self.kernel()))
        return f"{condition} did not come within {seconds:g} s; the kernel is at {where}"

    def close(self) -> None:
        """End the machine. May be called again."""
        self.stub.close()
        self.qemu.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def machine_of(run: Run) -> Machine:
    """What a snapshot keeps of a kernel that stands, beside its memory."""
    now = run.target.registers()
    others = {n: v for n, v in run.stub.regs.every().items() if n not in now.csrs}
    image = run.image
    return Machine(now, run.target.ram, image.data, image.path.name, run.console, others)


def describe(place: Place) -> str:
    """An address in words: with its symbol and line where they are known."""
    text = f"{place.address:#x}"
    if place.symbol:
        program = f"{place.program}:" if place.program else ""
        text += f" <{program}{place.symbol}+{place.offset}>"
    if place.file and place.line:
        text += f" {Path(place.file).name}:{place.line}"
    return text
