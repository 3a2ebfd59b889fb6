"""Functions for expressions: `p *$rc_thread(3)`, `x/4i $rc_va(PA)`, `break f if $rc_ticks() > 9`.

Each reads the kernel as it is at that moment. What cannot be answered is an error of one line.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import gdb

from gdbscripts.framework import one_line_errors
from gdbscripts.machine.kernel import fresh_kernel
from gdbscripts.values import reading
from rcdbg.errors import UsageError

if TYPE_CHECKING:
    from rcdbg.image.types import TypeId
    from rcdbg.model.kernel import Kernel
    from rcdbg.model.state import Thread

_MASK64 = (1 << 64) - 1


class _Function(gdb.Function):
    """A function for gdb's expressions; the docstring is its help, and ends with an example."""

    usage: ClassVar[str]
    example: ClassVar[str]
    arguments: ClassVar[tuple[int, int]] = (1, 1)
    """How many it takes: at least, at most."""

    def __init__(self) -> None:
        about = "\n".join(line.strip() for line in (self.__doc__ or "").splitlines())
        self.__doc__ = f"{about.rstrip()}\n\nUsage: {self.usage}\n\nExample: {self.example}"
        super().__init__(self.usage[1:].partition("(")[0])

    def invoke(self, *arguments: gdb.Value) -> gdb.Value:
        """The answer, or an error of one line."""
        with one_line_errors():
            least, most = self.arguments
            if not least <= len(arguments) <= most:
                raise UsageError(f"it is {self.usage}")
            return self.answer(*arguments)

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        """The value; may raise what it likes to."""
        raise NotImplementedError


class _Pa(_Function):
    """The physical address that the page table in satp gives for a virtual one."""

    usage = "$rc_pa(VA)"
    example = "p/x $rc_pa($sp)"

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        from rcdbg.model.memory.page_table import translate

        va = _number(arguments[0], self.usage)
        found = translate(fresh_kernel(), va)
        if found.walk.physical is None:
            raise UsageError(f"{va:#x} is not mapped: {found.walk.fault}")
        return reading.unsigned_64(found.walk.physical)


class _Va(_Function):
    """The lowest virtual address at which the page table in satp maps a physical one."""

    usage = "$rc_va(PA)"
    example = "x/4i $rc_va(0x80200000)"

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        from rcdbg.model.memory.table_walks import listing

        kernel = fresh_kernel()
        pa = _number(arguments[0], self.usage)
        satp = kernel.memory.satp
        if satp.scheme is None:
            raise UsageError(f"satp names translation mode {satp.mode}, which rcdbg does not know")
        if not satp.translates:
            return reading.unsigned_64(pa)
        # The lower half comes first, so the first is the lowest.
        for run in listing(kernel, satp):
            if run.pa <= pa < run.pa + run.size:
                return reading.unsigned_64(run.va + pa - run.pa)
        raise UsageError(f"no virtual address leads to physical {pa:#x}")


class _Thread(_Function):
    """A pointer to the Thread with that number: running, ready or sleeping."""

    usage = "$rc_thread(ID)"
    example = "p *$rc_thread(3)"

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        kernel = fresh_kernel()
        thread = _thread(kernel, _number(arguments[0], self.usage))
        return _thread_pointer(kernel, thread.address)


class _Current(_Function):
    """A pointer to the Thread that runs on the hart."""

    usage = "$rc_current()"
    example = "p $rc_current().id"
    arguments = (0, 0)

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        from rcdbg.model.threads.processor import read_processor

        kernel = fresh_kernel()
        processor = read_processor(kernel)
        if processor.current is None:
            raise UsageError(_why(processor.problems, processor.note or "no thread runs"))
        return _thread_pointer(kernel, processor.current.address)


class _Context(_Function):
    """A pointer to the Context of a parked thread; without ID, of the trap that is being handled.

    For the running thread, too, it is the Context of the trap that is being handled.
    """

    usage = "$rc_context([ID])"
    example = "p $rc_context(3).sepc"
    arguments = (0, 1)

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        from rcdbg.model.threads.context import context_type
        from rcdbg.model.threads.trap import read_trap

        kernel = fresh_kernel()
        thread = _thread(kernel, _number(arguments[0], self.usage)) if arguments else None
        context = thread.context if thread is not None else None
        if context is None and thread is not None and thread.status != "running":
            raise UsageError(_why(thread.problems, f"thread {thread.id} has no parked Context"))
        if context is None:
            trap = read_trap(kernel)
            context = trap.context
            if context is None:
                raise UsageError(_why(trap.problems, trap.note))
        return _pointer(kernel, context_type(kernel), context.address)


class _Ticks(_Function):
    """How many timer interrupts the kernel has counted, where its description says."""

    usage = "$rc_ticks()"
    example = "break handle_interrupt if $rc_ticks() > 100"
    arguments = (0, 0)

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        from rcdbg.model.values.path import resolve

        kernel = fresh_kernel()
        ways = kernel.description.clock.ticks
        for way in ways:
            with suppress(UsageError):
                return reading.unsigned_64(resolve(kernel, str(way)).scalar())
        wanted = f"has no static {ways[0]}" if ways else "is not known to count its ticks"
        raise UsageError(f"the kernel {wanted}")


class _Field(_Function):
    """The field NAME of a value, looked for through pointers, Arc, Mutex, Option and the like.

    The outermost field of that name is taken. In Rust code gdb would put a plain "NAME" into the
    kernel's memory, so it takes a b in front; in assembly it goes without.
    """

    usage = '$rc_field(VALUE, b"NAME")'
    example = 'p $rc_field($rc_thread(3), b"sleeping")'
    arguments = (2, 2)

    def answer(self, *arguments: gdb.Value) -> gdb.Value:
        value, name = arguments
        wanted = reading.text(name)
        if wanted is None:
            raise UsageError(f"the name of the field is a text: {self.usage}")
        found = reading.dig(value, wanted)
        if found is None:
            raise UsageError(f"{value.type} has no field {wanted!r} inside")
        return found


def _number(value: gdb.Value, usage: str) -> int:
    """A number, or the one inside a newtype such as VirtualAddress, unsigned."""
    number = reading.scalar(value)
    if number is None:
        raise UsageError(f"{value.type} is no number: {usage}")
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_INT:
        return int(value) & _MASK64  # a negative number that is narrower means the upper half
    return number


def _thread(kernel: Kernel, number: int) -> Thread:
    from rcdbg.model.threads.processor import read_processor

    processor = read_processor(kernel)
    for thread in processor.threads:
        if thread.id == number:
            return thread
    known = ", ".join(str(thread.id) for thread in processor.threads)
    why = f"no thread {number}" + (f"; there are {known}" if known else "")
    raise UsageError(_why(processor.problems, f"{why}; {processor.note}".rstrip("; ")))


def _why(problems: object, otherwise: str) -> str:
    from rcdbg.model.state import Problem

    for problem in problems if isinstance(problems, tuple) else ():
        if isinstance(problem, Problem):
            return f"{otherwise} ({problem.where}: {problem.why})"
    return otherwise


def _thread_pointer(kernel: Kernel, address: int) -> gdb.Value:
    from rcdbg.model.threads.thread import thread_type

    return _pointer(kernel, thread_type(kernel), address)


def _pointer(kernel: Kernel, type_id: TypeId, address: int) -> gdb.Value:
    """A pointer to a value of that type at a virtual address."""
    kind = gdb.lookup_type(kernel.image.types.type(type_id).name)
    return reading.unsigned_64(address).cast(kind.pointer())


_FUNCTIONS: tuple[type[_Function], ...] = (
    *(_Pa, _Va, _Thread, _Current, _Context, _Ticks, _Field),
)


def usages() -> list[str]:
    """How each is written."""
    return [function.usage for function in _FUNCTIONS]


def register() -> None:
    """Define the functions."""
    for function in _FUNCTIONS:
        function()
