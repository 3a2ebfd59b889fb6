"""A parked thread as gdb sees it: an unwinder that leads from the hart's stack to the thread's.

No register is written. While a thread is selected, gdb's frame 0 is the hart as it stands, and the
unwinder says that it was called by the thread. Where the kernel's trap entry has call frame
information, the way leads through a trap frame whose Context is the parked one, so that gdb takes
the thread's pc for what it is: an instruction still to be executed. Else the thread's registers
are handed over at once. Memory of the thread's process that satp does not show is lent to gdb.
Source: gdb manual, node "Unwinding Frames in Python".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gdb
from gdb.unwinder import Unwinder, register_unwinder

from gdbscripts.threads.lent_memory import LentMemory, Pieces
from rcdbg.errors import ImageError
from rcdbg.image.dwarf.cfi_program import How
from rcdbg.image.dwarf.forms import DwarfError
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Context, Thread
from rcdbg.model.threads.context import context_type, offset_of_sepc
from rcdbg.model.threads.thread_memory import elsewhere
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.registers import GDB_NAMES

_BELOW = 16
_MOST_LENT = 1 << 20


@dataclass(frozen=True)
class Parked:
    """What gdb is shown instead of the hart's stack."""

    number: int
    registers: dict[str, int]
    """Of frame 1."""
    first: int
    """gdb's number for the thread's innermost stack frame."""
    hart: int
    """gdb's number for the hart's own stack frame: those before it are inlined in it."""
    memory: Pieces
    """Where its process's memory is not what satp shows."""


def parked(kernel: Kernel, thread: Thread, context: Context) -> Parked:
    """How to show a thread with that parked Context."""
    number, hart = thread.id or 0, _inlined_in_the_hart()
    memory = elsewhere(kernel, thread, _MOST_LENT)
    entry = _trap_return_address(kernel)
    if entry is not None:
        return Parked(number, {"pc": entry, "sp": context.address}, hart + 2, hart, memory)
    registers = dict(zip(GDB_NAMES, context.x, strict=True))
    return Parked(number, {**registers, "pc": context.sepc.address}, hart + 1, hart, memory)


def _inlined_in_the_hart() -> int:
    """How many of gdb's innermost stack frames are inlined in the hart's own."""
    count = 0
    frame: gdb.Frame | None = gdb.newest_frame()
    while frame is not None and frame.type() == gdb.INLINE_FRAME:
        count, frame = count + 1, frame.older()
    return count


def _trap_return_address(kernel: Kernel) -> int | None:
    """An address in the trap's entry at which everything is saved, sp being at the Context."""
    found = first_symbol(kernel.image, kernel.description.trap.entry)
    start = found[1] if found else None
    symbol = None if start is None else kernel.image.symbols.covering(start)
    if start is None or symbol is None or not symbol.size:
        return None
    try:
        size = kernel.image.types.type(context_type(kernel)).size
        sepc = offset_of_sepc(kernel)
        last = start + symbol.size - 2
        rules = kernel.image.call_frames.at(last)
    except (DecodeError, DwarfError, ImageError):
        return None
    if rules is None or not rules.is_signal:
        return None
    saved = rules.rules.get(rules.return_column)
    fits = (
        rules.cfa_register == 2
        and rules.cfa_offset == size
        and saved is not None
        and saved.how is How.AT_CFA
        and size + saved.number == sepc
    )
    return last + 1 if fits else None


class _FrameId:
    """What gdb tells stack frames apart by."""

    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp, self.pc = sp, pc


def _value(number: int, kind: gdb.Type) -> gdb.Value:
    return gdb.Value(number.to_bytes(kind.sizeof, "little"), kind)


class _ParkedUnwinder(Unwinder):
    """Claims the hart's stack frame while a parked thread is selected."""

    def __init__(self) -> None:
        super().__init__("rcdbg-parked-thread")
        self.shown: Parked | None = None

    def __call__(self, pending_frame: Any) -> Any:
        """The caller of the hart's frame; None while no parked thread is selected."""
        shown = self.shown
        if shown is None or pending_frame.level() != shown.hart:
            return None
        sp, pc = pending_frame.read_register("sp"), pending_frame.read_register("pc")
        # gdb stops where the caller's frame lies below that of the called one.
        below = _value((shown.registers["sp"] - _BELOW) & ((1 << 64) - 1), sp.type)
        info = pending_frame.create_unwind_info(_FrameId(below, pc))
        for name, number in shown.registers.items():
            if name != "zero":
                info.add_saved_register(
                    name, _value(number, pending_frame.read_register(name).type)
                )
        return info


class _WithoutTheHart:
    """A frame filter that leaves out the stack frames that are not the selected thread's."""

    name, priority = "rcdbg-parked-thread", 100

    def __init__(self) -> None:
        # With any filter at work gdb prints a backtrace in another way.
        self.enabled = False

    def filter(self, frames: Iterator[Any]) -> Iterator[Any]:
        """All stack frames, or those of the parked thread that is selected."""
        shown = _unwinder.shown
        if shown is None:
            return frames
        return (f for f in frames if f.inferior_frame().level() >= shown.first)


_unwinder = _ParkedUnwinder()
_filter = _WithoutTheHart()
_memory = LentMemory()


def shown() -> Parked | None:
    """The parked thread that is selected."""
    return _unwinder.shown


def show(thread: Parked | None) -> None:
    """Select a parked thread, or the hart again; gdb's frame 0 is selected afterwards."""
    if thread is None and _unwinder.shown is None:
        return
    # gdb tells of a new file meanwhile, and then no thread is selected.
    _memory.lend(() if thread is None else thread.memory)
    _unwinder.shown = thread
    _filter.enabled = thread is not None
    gdb.invalidate_cached_frames()
    gdb.newest_frame().select()


def forget(*_: object) -> None:
    """The machine runs, or is gone: gdb has a new stack, and no thread is selected any more."""
    _unwinder.shown = None
    _filter.enabled = False
    _memory.suspend()


def register() -> None:
    """Make gdb know the unwinder; it does nothing until a thread is selected."""
    register_unwinder(None, _unwinder, replace=True)
    for event in (gdb.events.cont, gdb.events.exited, gdb.events.new_objfile):
        event.connect(forget)
    gdb.frame_filters[_filter.name] = _filter
