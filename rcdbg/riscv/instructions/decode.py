"""One instruction in words, with operands, and the memory that it uses.

RV64IMAC, Zicsr, Zifencei, the privileged instructions, and loads and stores of F and D. Names and
operands are written as by LLVM's disassembler. Sources: unprivileged spec, chapter "RV32/64G
Instruction Set Listings" and the table of pseudoinstructions; privileged spec, section 3.3.
"""

from dataclasses import dataclass
from typing import Literal

from rcdbg.riscv.code import size_of
from rcdbg.riscv.instructions.arithmetic import arithmetic
from rcdbg.riscv.instructions.compressed import expanded
from rcdbg.riscv.instructions.fields import (
    branch_offset,
    i_immediate,
    jal_offset,
    s_immediate,
    u_immediate,
)
from rcdbg.riscv.instructions.system import fence, system
from rcdbg.riscv.registers import ABI_NAMES, MASK64

MemoryUse = Literal["read", "write", "atomic"]

_ABI_F = (
    *(f"ft{i}" for i in range(8)),
    *("fs0", "fs1"),
    *(f"fa{i}" for i in range(8)),
    *(f"fs{i}" for i in range(2, 12)),
    *(f"ft{i}" for i in range(8, 12)),
)
_LOADS = ("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu")
_STORES = ("sb", "sh", "sw", "sd")
_FLOATS = {2: "w", 3: "d"}
_BRANCHES = {0: "beq", 1: "bne", 4: "blt", 5: "bge", 6: "bltu", 7: "bgeu"}
_AMOS = {
    0x00: "amoadd", 0x01: "amoswap", 0x04: "amoxor", 0x08: "amoor", 0x0C: "amoand",
    0x10: "amomin", 0x14: "amomax", 0x18: "amominu", 0x1C: "amomaxu",
}  # fmt: skip
_LR, _SC = 0x02, 0x03
_ORDERS = ("", ".rl", ".aq", ".aqrl")
_NUMBERS = (".insn", ".4byte", ".2byte", ".word", ".short", "0x")
"""How disassemblers write what they do not know."""


@dataclass(frozen=True, slots=True)
class Operand:
    """Memory that an instruction uses: `width` bytes at the register `base` plus `offset`."""

    base: int
    offset: int
    width: int
    use: MemoryUse
    """An atomic one reads and writes; what is wrong with either is reported as a store's."""

    def address(self, x: tuple[int, ...]) -> int:
        """The virtual address, with these registers x0 to x31."""
        return (x[self.base] + self.offset) & MASK64


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction in words."""

    encoding: int
    size: int
    """Bytes."""
    name: str
    """Its mnemonic; empty for one that is not known here."""
    operands: str
    memory: Operand | None = None
    csr: int | None = None
    """The number of the CSR that it reads or writes."""
    target: int | None = None
    """Where it jumps, if its own bits say that."""

    @property
    def known(self) -> bool:
        """Whether it is known what it does."""
        return bool(self.name)

    @property
    def text(self) -> str:
        """The line of a disassembler; for one that is not known its bytes as a number."""
        if not self.name:
            return f".insn {self.size}, {self.encoding:#0{2 + 2 * self.size}x}"
        return f"{self.name} {self.operands}".rstrip()


_Parts = tuple[str, str]


def decode(encoding: int, address: int = 0) -> Decoded:
    """The instruction with that encoding, which stands at `address`; never fails.

    Of a 16-bit instruction it is that of the full one that it stands for, as LLVM shows it.
    """
    size = size_of(encoding)
    encoding &= (1 << 8 * size) - 1
    if not encoding:
        return Decoded(0, size, "unimp", "")
    word = expanded(encoding) if size == 2 else encoding
    if word is None:
        return Decoded(encoding, size, "", "")
    parts = _named(word)
    memory = _memory(word) if parts is not None else None
    target = None
    if parts is None and (jump := _jump(word, address)) is not None:
        parts, target = jump
    if parts is None:
        return Decoded(encoding, size, "", "")
    csr = word >> 20 if word & 0x7F == 0x73 and word >> 12 & 3 else None
    return Decoded(encoding, size, *parts, memory, csr, target)


def decode_bytes(code: bytes, address: int = 0) -> Decoded | None:
    """The first instruction in those bytes; None where they are too few."""
    if len(code) < 2 or len(code) < size_of(code[0]):
        return None
    return decode(int.from_bytes(code[: size_of(code[0])], "little"), address)


def _named(word: int) -> _Parts | None:
    opcode, function = word & 0x7F, word >> 12 & 7
    rd, rs1, rs2 = ABI_NAMES[word >> 7 & 31], ABI_NAMES[word >> 15 & 31], word >> 20 & 31
    if opcode == 0x03 and function < len(_LOADS):
        return _LOADS[function], f"{rd}, {i_immediate(word)}({rs1})"
    if opcode == 0x23 and function < len(_STORES):
        return _STORES[function], f"{ABI_NAMES[rs2]}, {s_immediate(word)}({rs1})"
    if opcode == 0x07 and function in _FLOATS:
        return f"fl{_FLOATS[function]}", f"{_ABI_F[word >> 7 & 31]}, {i_immediate(word)}({rs1})"
    if opcode == 0x27 and function in _FLOATS:
        return f"fs{_FLOATS[function]}", f"{_ABI_F[rs2]}, {s_immediate(word)}({rs1})"
    if opcode == 0x2F and function in _FLOATS:
        return _atomic(word, rd, rs1, rs2)
    if opcode == 0x0F:
        return fence(word)
    if opcode == 0x73:
        return system(word)
    if opcode in (0x37, 0x17):
        name = "lui" if opcode == 0x37 else "auipc"
        return name, f"{rd}, {u_immediate(word) >> 12 & 0xF_FFFF}"
    return arithmetic(word)


def _atomic(word: int, rd: str, rs1: str, rs2: int) -> _Parts | None:
    kind, width = word >> 27, _FLOATS[word >> 12 & 7]
    suffix = f".{width}{_ORDERS[word >> 25 & 3]}"
    if kind == _LR:
        return None if rs2 else (f"lr{suffix}", f"{rd}, ({rs1})")
    name = "sc" if kind == _SC else _AMOS.get(kind)
    return None if name is None else (f"{name}{suffix}", f"{rd}, {ABI_NAMES[rs2]}, ({rs1})")


def _memory(word: int) -> Operand | None:
    opcode, function, base = word & 0x7F, word >> 12 & 7, word >> 15 & 31
    if opcode in (0x03, 0x07):
        return Operand(base, i_immediate(word), 1 << (function & 3), "read")
    if opcode in (0x23, 0x27):
        return Operand(base, s_immediate(word), 1 << (function & 3), "write")
    if opcode == 0x2F:
        uses: dict[int, MemoryUse] = {_LR: "read", _SC: "write"}
        return Operand(base, 0, 1 << (function & 3), uses.get(word >> 27, "atomic"))
    return None


def _jump(word: int, address: int) -> tuple[_Parts, int | None] | None:
    opcode, rd = word & 0x7F, word >> 7 & 31
    if opcode == 0x6F:
        target = (address + jal_offset(word)) & MASK64
        if rd in (0, 1):
            return ("jal" if rd else "j", f"{target:#x}"), target
        return ("jal", f"{ABI_NAMES[rd]}, {target:#x}"), target
    if opcode == 0x63 and word >> 12 & 7 in _BRANCHES:
        target = (address + branch_offset(word)) & MASK64
        return _branch(word, f"{target:#x}"), target
    if opcode == 0x67 and not word >> 12 & 7:
        return _jump_register(word, rd), None
    return None


def _branch(word: int, target: str) -> _Parts:
    name = _BRANCHES[word >> 12 & 7]
    one, other = ABI_NAMES[word >> 15 & 31], ABI_NAMES[word >> 20 & 31]
    if other == "zero" and name in ("beq", "bne", "blt", "bge"):
        return f"{name}z", f"{one}, {target}"
    if one == "zero" and name in ("blt", "bge"):
        return {"blt": "bgtz", "bge": "blez"}[name], f"{other}, {target}"
    return name, f"{one}, {other}, {target}"


def _jump_register(word: int, rd: int) -> _Parts:
    rs1, offset = ABI_NAMES[word >> 15 & 31], i_immediate(word)
    if not rd and not offset and rs1 == "ra":
        return "ret", ""
    place = f"{offset}({rs1})" if offset else rs1
    if rd in (0, 1):
        return "jalr" if rd else "jr", place
    return "jalr", f"{ABI_NAMES[rd]}, {place}"


def in_words(text: str, code: bytes, address: int) -> str:
    """What another disassembler says of an instruction, or what we do where it has only numbers.

    gdb's does so for all instructions of extensions that the ELF does not claim to use.
    """
    if not text.startswith(_NUMBERS):
        return text
    found = decode_bytes(code, address)
    if found is None or not found.known:
        return text
    return f"{found.name}\t{found.operands.replace(', ', ',')}".rstrip()
