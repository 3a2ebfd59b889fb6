"""Calls that the compiler put in place, as stack frames of their own.

Source of the format: DWARF 5, section 3.3.8.
"""

from collections.abc import Iterator
from dataclasses import replace

from rcdbg.errors import ImageError
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Backtrace, StackFrame


def with_inlined(kernel: Kernel, stack: Backtrace) -> Backtrace:
    """The same call stack with a stack frame for each inlined call; never fails."""
    frames: list[StackFrame] = []
    is_exact = True
    for frame in stack.frames:
        frames += _frames(kernel, frame, is_exact)
        is_exact = frame.is_trap
    # Where a stack goes wrong it ends.
    where = f"stack frame {len(frames) - 1}"
    problems = tuple(replace(p, where=where) for p in stack.problems)
    return Backtrace(tuple(frames), stack.note, problems)


def _frames(kernel: Kernel, frame: StackFrame, is_exact: bool) -> Iterator[StackFrame]:
    """A function's stack frame, behind those of what is inlined in it at that place."""
    pc = frame.pc
    # Behind a call the pc may be in the next function; what lies at a function's start is no call.
    if pc.program is None and (is_exact or pc.offset):
        try:
            calls = kernel.image.functions.inlined_at(pc.address if is_exact else pc.address - 1)
        except ImageError:
            calls = []
        for call in calls:
            place = replace(pc, symbol=call.path, offset=0)
            yield StackFrame(place, frame.cfa, frame.sp, is_inlined=True)
            pc = replace(frame.pc, file=call.file, line=call.line)
    yield replace(frame, pc=pc)
