"""The code around the pc, as far as gdb, the ELF and the source files give it."""

from functools import lru_cache
from pathlib import Path

from rcdbg.image.lines import source_path
from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.mi import GdbError
from rcdbg.machine.gdb.records import Breakpoint
from rcdbg.model.kernel import Kernel
from rcdbg.model.panics import panicking
from rcdbg.model.programs.code import user_place
from rcdbg.model.programs.explained import place_now
from rcdbg.model.state import Place
from rcdbg.model.threads.inlined import with_inlined
from rcdbg.model.threads.unwind import backtrace_now
from rcdbg.riscv.instructions.decode import in_words
from rcdbg.views.code import Code, Instruction, Source, source_window

_LINES_AROUND = 60
_INSTRUCTIONS = 48
_FRAMES = 64
_BACK_BYTES = 160
"""How far before the pc the instructions may begin; only a function's start is known to be one."""


def read_code(
    kernel: Kernel, gdb: Gdb, breakpoints: list[Breakpoint], at: int | None = None
) -> Code:
    """The source lines and instructions around the pc; what is missing becomes a note.

    At a panic they are those of the code that gave up, not of the function that prints that. `at`
    is where a thread that is not on the hart goes on.
    """
    here = place_now(kernel)
    pc, notes = here, []
    if at is not None:
        pc = kernel.place(at)
    elif gave_up := _gave_up(kernel):
        pc, notes = gave_up, [f"this gave up; the pc is at {here.symbol}"]
    source = None
    if pc.file is None or pc.line is None:
        notes.append("no source line is known for this address")
    else:
        source = _source(pc.file, pc.line)
        if source is None:
            notes.append(f"{pc.file}:{pc.line} is not on this machine")
    instructions: tuple[Instruction, ...] = ()
    try:
        instructions = _instructions(gdb, pc)
    except GdbError as error:
        notes.append(f"no instructions: {error}")
    addresses = frozenset(b.address for b in breakpoints if b.enabled and b.address is not None)
    places = (user_place(kernel, kernel.memory.satp, a) if pc.program else kernel.place(a)
              for a in addresses)  # fmt: skip
    return Code(
        pc,
        source,
        instructions,
        frozenset(p.line for p in places if p.line is not None and p.file == pc.file),
        addresses,
        tuple(notes),
    )


def _gave_up(kernel: Kernel) -> Place | None:
    """At a panic's entry: the innermost code below it whose source is here, not the library's."""
    if not panicking(kernel):
        return None
    stack = with_inlined(kernel, backtrace_now(kernel, _FRAMES))
    calls = [frame.pc for frame in stack.frames[1:]]
    return next((one for one in calls if one.file and source_path(one.file)), None)


def _source(file: str, line: int) -> Source | None:
    path = source_path(file)
    if path is None:
        return None
    try:
        lines = _lines(path, path.stat().st_mtime_ns)
    except OSError:
        return None
    return source_window(file, lines, line, _LINES_AROUND)


@lru_cache(maxsize=64)
def _lines(path: Path, mtime_ns: int) -> tuple[str, ...]:
    return tuple(path.read_text("utf-8", "replace").splitlines())


def _instructions(gdb: Gdb, pc: Place) -> tuple[Instruction, ...]:
    back = pc.offset if pc.symbol is not None and pc.offset <= _BACK_BYTES else 0
    found = gdb.data.disassemble(pc.address - back, back // 2 + _INSTRUCTIONS)
    if all(item.address != pc.address for item in found):
        # The pc is inside of what looked like an instruction: begin there instead.
        found = gdb.data.disassemble(pc.address, _INSTRUCTIONS)
    return tuple(
        Instruction(
            item.address,
            in_words(item.text, item.opcodes, item.address),
            item.function,
            item.offset or 0,
        )
        for item in found
    )
