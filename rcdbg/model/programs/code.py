"""Which program's code is at an address of an address space: by its bytes, not by names.

The same address in two processes has two answers. What was not loaded yet says nothing; what is
there has to be the program's own, but for breakpoints.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.elf import Image
from rcdbg.image.match import same_code
from rcdbg.image.programs.program import Program
from rcdbg.image.programs.shelf import programs_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Place
from rcdbg.riscv import pte
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.paging import Satp, walk

MAX_PAGES = 64
"""Pages of a program that are compared with memory, spread evenly, beside the one in question."""

_LEAST = 16
"""Bytes that have to be the same: fewer could be by chance."""
_WINDOW = 64
_MAX_PLACES = 256


@dataclass(frozen=True, slots=True)
class UserCode:
    """A program in an address space; or, without an ELF of its own, a copy of kernel's bytes."""

    name: str
    origin: str
    """Where it was found, in words."""
    image: Image | None
    """Its own ELF; None where it is only known that the kernel's ELF has these bytes."""
    also: tuple[str, ...] = ()
    """Other names that programs with the same bytes have."""
    moved: int = 0
    """Without an ELF: what to add to an address to come to that of the same byte in the kernel."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return (self.name, *self.also)


@once_a_moment
def memory_of(kernel: Kernel, satp: Satp) -> VirtualMemory:
    """The memory of an address space, and nothing else than what its table maps."""
    return VirtualMemory(kernel.target, satp.value)


def is_users(kernel: Kernel, satp: Satp, address: int) -> bool:
    """Whether U-mode may execute what is there, by the page table; without one, never known."""
    leaf = walk(kernel.target.read_phys, satp, address).leaf
    return leaf is not None and leaf.pte.bits & (pte.U | pte.X) == pte.U | pte.X


def code_at(kernel: Kernel, satp: Satp, address: int) -> UserCode | None:
    """The program whose code is at that address of that address space; None if it is not known."""
    return _code_in(kernel, satp, address // PAGE_SIZE) if 0 <= address < 1 << 64 else None


@once_a_moment
def _code_in(kernel: Kernel, satp: Satp, page: int) -> UserCode | None:
    memory = memory_of(kernel, satp)
    try:
        found = memory.read(page * PAGE_SIZE, PAGE_SIZE)
    except MemoryReadError:
        return None
    fitting = []
    for program in programs_of(kernel.image).programs:
        with suppress(ImageError):  # `programs` says why
            if _has_page(program, page, found) and _fits(program, memory):
                fitting.append(program)
                _ = program.image
    if fitting:
        best = min(fitting, key=lambda program: program.worth)
        also = dict.fromkeys(program.name for program in fitting if program.name != best.name)
        return UserCode(best.name, best.origin, best.image, tuple(also))
    return _copied(kernel, page, found)


@once_a_moment
def program_in(kernel: Kernel, satp: Satp) -> UserCode | None:
    """The program that is loaded into an address space, wherever it is; None if it is not known."""
    pages = set()
    for program in programs_of(kernel.image).programs:
        with suppress(ImageError):
            pages |= {piece.address // PAGE_SIZE for piece in program.pieces if piece.is_code}
    found = (_code_in(kernel, satp, page) for page in sorted(pages))
    return next((code for code in found if code is not None), None) if satp.translates else None


def _has_page(program: Program, page: int, found: bytes) -> bool:
    """Whether the program has code in that page, and it is what was found there."""
    start = page * PAGE_SIZE
    compared = 0
    for piece in program.pieces:
        first = max(piece.address, start)
        end = min(piece.address + len(piece.content), start + PAGE_SIZE)
        if not piece.is_code or first >= end:
            continue
        expected = piece.content[first - piece.address : end - piece.address]
        if not same_code(expected, found[first - start : end - start]):
            return False
        compared += end - first
    return compared >= _LEAST


def _fits(program: Program, memory: VirtualMemory) -> bool:
    """Whether nothing of what is in memory differs from the program."""
    for address, expected in _samples(program):
        try:
            found = memory.read(address, len(expected))
        except MemoryReadError:
            continue  # not loaded yet
        if not same_code(expected, found):
            return False
    return True


def _samples(program: Program) -> Iterator[tuple[int, bytes]]:
    """Pages of the program, all of them or MAX_PAGES spread evenly: (address, content)."""
    pages = [
        (piece, at)
        for piece in program.pieces
        for at in range(-(piece.address % PAGE_SIZE), len(piece.content), PAGE_SIZE)
    ]
    step = max(1, -(-len(pages) // MAX_PAGES))
    for piece, at in pages[::step]:
        first = max(at, 0)
        yield piece.address + first, piece.content[first : at + PAGE_SIZE]


def _copied(kernel: Kernel, page: int, found: bytes) -> UserCode | None:
    """Code that the kernel has in its own ELF, and has copied from there."""
    content = found.rstrip(b"\0")
    start = len(content) - len(content.lstrip(b"\0"))
    content = content[start:]
    if len(content) < _LEAST:
        return None
    places = list(_places(kernel.image, content))
    moved = places[0] - (page * PAGE_SIZE + start) if places else 0
    if len(places) != 1 or not moved:
        return None
    symbol = kernel.image.symbols.at(places[0])
    name = symbol[0].removesuffix("_start") if symbol is not None else f"{places[0]:#x}"
    return UserCode(name, "copied from the kernel", None, moved=moved)


def _places(image: Image, content: bytes) -> Iterator[int]:
    """Where the kernel's ELF has these bytes, as virtual addresses."""
    data, tried = image.data, 0
    for segment in image.segments:
        at, end = segment.offset - 1, segment.offset + segment.file_size
        while tried < _MAX_PLACES and (at := data.find(content[:_WINDOW], at + 1, end)) >= 0:
            tried += 1
            if same_code(data[at : at + len(content)], content):
                yield segment.vaddr + at - segment.offset


def user_place(kernel: Kernel, satp: Satp, address: int) -> Place:
    """`address` in an address space, with the symbol and source line of its program's, if known."""
    code = code_at(kernel, satp, address)
    if code is None:
        return Place(address)
    if code.image is None:
        linked = kernel.place(address + code.moved)
        return replace(linked, address=address, program=code.name)
    symbol = code.image.symbols.at(address)
    name, offset = symbol if symbol else (None, 0)
    line = None
    with suppress(ImageError):
        line = code.image.lines.lookup(address)
    if line is None:
        return Place(address, name, offset, program=code.name)
    return Place(address, name, offset, line.file, line.line, code.name)
