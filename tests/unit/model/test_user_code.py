"""Code of programs: two address spaces, two answers; and their call stacks."""

from dataclasses import replace
from pathlib import Path

import pytest

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.elf import image_of
from rcdbg.image.programs.shelf import programs_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.code import code_at, user_place
from rcdbg.model.programs.listed import read_programs
from rcdbg.model.threads.call_stacks import read_hart_stack
from rcdbg.model.threads.trap import read_hart
from rcdbg.model.unwinding.user_stack import THE_ENTRY
from rcdbg.riscv import pages, pte
from rcdbg.riscv.paging import Satp
from tests.unit.image import build
from tests.unit.image.build import Section, Symbol

RAM, SIZE = 0x8000_0000, 0x4_0000
START, STACK_TOP = 0x1_0000, 0x3_0000
FIRST, SECOND = RAM + 0x1_0000, RAM + 0x2_0000
ECALL, RET = b"\x73\x00\x00\x00", b"\x82\x80"

# addi sp, sp, -16; sd ra, 8(sp); sd s0, 0(sp); addi s0, sp, 16: what opens a frame with s0 as CFA.
OPEN = bytes.fromhex("411106e422e00008")
NOP = b"\x01\x00"
CALL = b"\xef\x00\x00\x00"  # jal ra, .: where to does not matter here

ENTRY = OPEN + CALL + NOP * 6
MAIN = OPEN + NOP * 4 + CALL + NOP * 6
LEAF = ECALL + RET


def program(name: str, filler: bytes) -> bytes:
    """`_start` calls `main`, which calls `leaf`; `filler` behind makes it another program."""
    code = ENTRY + MAIN + LEAF + filler
    at, symbols = START, [Symbol(f"{name}.1-cgu.0", 0, kind=4, section=0xFFF1)]
    for function, body in (("_start", ENTRY), ("main", MAIN), ("leaf", LEAF)):
        symbols.append(Symbol(function, at, len(body)))
        at += len(body)
    sections = [Section(".text", address=START, flags="ax", size=len(code))]
    return build.Elf([(START, START, code, len(code), 5)], sections, symbols, START).bytes()


PROGRAMS = {"hello": program("hello", b"A" * 64), "power": program("power", b"B" * 64)}


class Machine:
    """RAM with a kernel, and two processes that have a program each at the same address."""

    def __init__(self) -> None:
        self.ram = bytearray(SIZE)
        data = b"".join(PROGRAMS.values())
        loads = [(RAM, RAM, bytes(64), 64, 5), (RAM + 0x1000, RAM + 0x1000, data, len(data), 6)]
        sections = [Section(".text", address=RAM, flags="ax", size=64)]
        self.image = image_of(build.Elf(loads, sections, [], RAM).bytes(), Path("os"))
        for root, elf in zip((FIRST, SECOND), programs_of(self.image).programs, strict=True):
            (piece,) = elf.pieces
            self.put(root + 0x4000, piece.content)
            self.table(root)
        self.words(FIRST + 0x6000, STACK_TOP - 0x1000, {})

    def put(self, address: int, content: bytes) -> None:
        self.ram[address - RAM : address - RAM + len(content)] = content

    def words(self, frame: int, page: int, words: dict[int, int]) -> None:
        """Write words by their virtual addresses into the frame of a page."""
        for address, word in words.items():
            self.put(frame + address - page, word.to_bytes(8, "little"))

    def table(self, root: int) -> None:
        """Code at START, and a page of stack below STACK_TOP."""
        self._entry(root, pages.index(START, 2), root + 0x1000, pte.V)
        self._entry(root + 0x1000, pages.index(START, 1), root + 0x2000, pte.V)
        rights = pte.V | pte.U | pte.R
        self._entry(root + 0x2000, pages.index(START, 0), root + 0x4000, rights | pte.X)
        last = pages.index(STACK_TOP - 1, 0)
        self._entry(root + 0x2000, last, root + 0x6000, rights | pte.W)

    def _entry(self, table: int, slot: int, target: int, flags: int) -> None:
        self.put(table + 8 * slot, (target >> 12 << 10 | flags).to_bytes(8, "little"))

    def kernel(self, root: int = FIRST, pc: int = START, **x: int) -> Kernel:
        """In U-mode, with that table."""
        numbers = {"ra": 1, "sp": 2, "s0": 8}
        values = [0] * 32
        for name, value in x.items():
            values[numbers[name]] = value
        satp = satp_of(root).value
        registers = Registers(pc, tuple(values), {"satp": satp}, 0)
        target = RamTarget(memoryview(self.ram), RAM, lambda: registers)
        return Kernel(self.image, target, registers, VirtualMemory(target, satp))


def satp_of(root: int) -> Satp:
    return Satp(8 << 60 | root >> 12)


def offset_of(function: str) -> int:
    return {"_start": 0, "main": len(ENTRY), "leaf": len(ENTRY) + len(MAIN)}[function]


def test_the_same_address_in_two_processes_has_two_answers() -> None:
    kernel = Machine().kernel()
    names = []
    for root in (FIRST, SECOND):
        place = user_place(kernel, satp_of(root), START + offset_of("main") + 2)
        names.append((place.program, place.symbol, place.offset))
    assert names == [("hello", "main", 2), ("power", "main", 2)]


def test_by_bytes_and_not_by_names() -> None:
    machine = Machine()
    machine.put(FIRST + 0x4000 + 40, b"\xff\xff")
    kernel = machine.kernel()
    assert code_at(kernel, satp_of(FIRST), START) is None
    assert user_place(kernel, satp_of(FIRST), START).program is None


def test_breakpoints_in_its_code_change_nothing() -> None:
    machine = Machine()
    machine.put(FIRST + 0x4000 + 8, b"\x73\x00\x10\x00")
    found = code_at(machine.kernel(), satp_of(FIRST), START)
    assert found is not None
    assert found.name == "hello"


@pytest.mark.parametrize("address", [0, START - 1, START + 0x1000, STACK_TOP - 8, 1 << 63, -1])
def test_where_no_program_is(address: int) -> None:
    assert code_at(Machine().kernel(), satp_of(FIRST), address) is None


def test_a_folder_that_has_more_to_say_is_taken(tmp_path: Path) -> None:
    machine = Machine()
    dwarf = build.Dwarf([])
    elf = image_of(PROGRAMS["hello"], Path("hello"))
    (piece,) = programs_of(machine.image).programs[0].pieces
    loads = [(START, START, piece.content, len(piece.content), 5)]
    sections = [Section(".text", address=START, flags="ax", size=len(piece.content))]
    rich = build.Elf(loads, [*sections, *dwarf.sections()], [Symbol("better", START, 8)], START)
    (tmp_path / "other_name").write_bytes(rich.bytes())
    assert not elf.has_debug_info
    programs_of(machine.image).look_in([tmp_path])
    kernel = machine.kernel()
    place = user_place(kernel, satp_of(FIRST), START)
    assert (place.program, place.symbol) == ("other_name", "better")
    assert user_place(kernel, satp_of(SECOND), START).program == "power"


def stack_of_a_call(machine: Machine, root: int = FIRST) -> dict[str, int]:
    """`leaf` was called by `main`, and that by `_start`: the registers at its ecall."""
    top, page = STACK_TOP, STACK_TOP - 0x1000
    in_start = START + len(OPEN) + len(CALL)
    in_main = START + offset_of("main") + len(OPEN) + len(NOP) * 4 + len(CALL)
    words = {top - 8: 0, top - 16: 0, top - 24: in_start, top - 32: top}
    machine.words(root + 0x6000, page, words)
    return {"ra": in_main, "sp": top - 32, "s0": top - 16}


def test_a_stop_in_u_mode_has_the_programs_call_stack() -> None:
    machine = Machine()
    now = stack_of_a_call(machine)
    kernel = machine.kernel(pc=START + offset_of("leaf"), **now)
    found = read_hart_stack(kernel).backtrace
    assert [(f.pc.program, f.pc.symbol) for f in found.frames] == [
        ("hello", "leaf"),
        ("hello", "main"),
        ("hello", "_start"),
    ]
    assert (found.note, found.problems) == (THE_ENTRY, ())
    pc = read_hart(kernel).pc
    assert (pc.program, pc.symbol) == ("hello", "leaf")


@pytest.mark.parametrize("word", [0, START + 1, 0xDEAD_BEEF, (1 << 64) - 1, RAM])
def test_nonsense_on_the_programs_stack_ends_it_without_a_word_of_the_kernels(word: int) -> None:
    machine = Machine()
    now = stack_of_a_call(machine)
    machine.words(FIRST + 0x6000, STACK_TOP - 0x1000, {STACK_TOP - 24: word})
    found = read_hart_stack(machine.kernel(pc=START + offset_of("leaf"), **now)).backtrace
    assert [f.pc.symbol for f in found.frames] == ["leaf", "main"]
    assert "broken" not in found.note
    assert found.problems == ()


def test_a_program_that_nobody_knows() -> None:
    machine = Machine()
    machine.put(FIRST + 0x4000, b"\x13\x05\x15\x00" * 8)
    kernel = machine.kernel(pc=START)
    found = read_hart_stack(kernel).backtrace
    assert [(f.pc.address, f.pc.program) for f in found.frames] == [(START, None)]
    assert "no program that is known" in found.note
    assert found.problems == ()
    assert read_hart(replace(kernel)).pc.symbol is None


def test_the_programs_are_listed_with_what_their_elves_tell() -> None:
    found = read_programs(Machine().kernel())
    assert [(p.name, p.entry, p.tells) for p in found.programs] == [
        ("hello", START, "symbols"),
        ("power", START, "symbols"),
    ]
    assert found.problems == ()
