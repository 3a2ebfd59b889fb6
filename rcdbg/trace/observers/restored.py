"""What a register will be at the end of straight code: of the way out of a trap, before its sret.

The code is followed once; what it loads from where is kept as a term over the registers at its
start, to be computed at each moment. Sources: unprivileged spec, chapters "RV64I", "C", "Zicsr".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rcdbg.riscv import code
from rcdbg.riscv.registers import MASK64

_LOAD, _IMMEDIATE, _IMMEDIATE_32, _LUI, _AUIPC, _SYSTEM = 0x03, 0x13, 0x1B, 0x37, 0x17, 0x73
_STORES, _JUMPS = (0x23, 0x27, 0x0F), (0x63, 0x6F, 0x67)
_SP = 2
_CSRS = {0x140: "sscratch", 0x141: "sepc", 0x100: "sstatus", 0x180: "satp", 0x105: "stvec"}


@dataclass(frozen=True, slots=True)
class Term:
    """A sum: what a register or a CSR was (`base`), or what lies at an address, and a constant.

    Without any of them the constant alone.
    """

    constant: int = 0
    base: int | None = None
    csr: str | None = None
    at: "Term | None" = None

    def plus(self, number: int) -> "Term":
        """The sum with a number."""
        return Term((self.constant + number) & MASK64, self.base, self.csr, self.at)

    @property
    def is_constant(self) -> bool:
        """Whether nothing of the machine is in it."""
        return self.base is None and self.csr is None and self.at is None

    def value(
        self,
        x: Sequence[int],
        csr: Callable[[str], int | None],
        word: Callable[[int], int | None],
    ) -> int | None:
        """Its value by the registers, the CSRs and the memory of a moment; None if not known."""
        found: int | None = 0
        if self.base is not None:
            found = x[self.base]
        elif self.csr is not None:
            found = csr(self.csr)
        elif self.at is not None:
            address = self.at.value(x, csr, word)
            found = None if address is None else word(address)
        return None if found is None else (found + self.constant) & MASK64

    @property
    def csrs(self) -> tuple[str, ...]:
        """The CSRs that it takes."""
        inner = self.at.csrs if self.at is not None else ()
        return inner if self.csr is None else (self.csr, *inner)


def restored(data: bytes, start: int) -> Mapping[int, Term]:
    """The terms of the registers that `data`, straight code from `start` on, leaves; by number.

    A register that is not there has a value that cannot be told. What is stored meanwhile is taken
    to lie elsewhere.
    """
    now: dict[int, Term] = {number: Term(base=number) for number in range(1, 32)} | {0: Term()}
    for at, encoding in code.instructions(data, start):
        step = _compressed if code.size_of(encoding) == 2 else _whole
        target = step(now, at, encoding)
        if target is None:
            return {}
        register, term = target
        if not register:
            continue
        if term is None:
            now.pop(register, None)
        else:
            now[register] = term
    return now


def vector_inside(data: bytes, start: int) -> int | None:
    """The trap vector that code from `start` on sets, where that is a part of itself; else None.

    So do functions that run user code and are where its traps lead: these return from there.
    """
    for at, encoding in code.instructions(data, start):
        if code.csr_written(encoding) == code.STVEC and encoding >> 12 & 7 == 1:
            vector = restored(data[: at - start], start).get(encoding >> 15 & 31)
            if vector is not None and vector.is_constant:
                inside = start < vector.constant < start + len(data)
                return vector.constant if inside else None
    return None


_Step = tuple[int, Term | None] | None
"""The register that an instruction writes, 0 for none, and its term; None for a jump."""


def _whole(now: Mapping[int, Term], at: int, encoding: int) -> _Step:
    opcode, rd, function = encoding & 0x7F, encoding >> 7 & 31, encoding >> 12 & 7
    source, immediate = now.get(encoding >> 15 & 31), _signed(encoding >> 20, 12)
    upper = _signed(encoding & 0xFFFF_F000, 32)
    if opcode in _STORES:
        return 0, None
    if opcode in _JUMPS:
        return None
    if opcode == _LUI:
        return rd, Term(upper & MASK64)
    if opcode == _AUIPC:
        return rd, Term((at + upper) & MASK64)
    if opcode == _LOAD and function == 3:
        return rd, _loaded(source, immediate)
    if opcode == _IMMEDIATE and function == 0:
        return rd, None if source is None else source.plus(immediate)
    if opcode == _IMMEDIATE and function == 1:
        return rd, _shifted(source, encoding >> 20 & 63)
    if opcode == _IMMEDIATE_32 and function == 0:
        return rd, _sum32(source, immediate)
    if opcode == _SYSTEM and function and encoding >> 20 in _CSRS:
        return rd, Term(csr=_CSRS[encoding >> 20])
    return rd, None


def _compressed(now: Mapping[int, Term], at: int, encoding: int) -> _Step:
    quadrant, function = encoding & 3, encoding >> 13
    rd, short = encoding >> 7 & 31, 8 + (encoding >> 2 & 7)
    immediate = _signed((encoding >> 12 & 1) << 5 | encoding >> 2 & 31, 6)
    if quadrant == 0:
        return _quadrant0(now, encoding, function, short)
    if quadrant == 2:
        return _quadrant2(now, encoding, function, rd)
    source = now.get(rd)
    match function:
        case 0:  # c.addi
            return rd, None if source is None else source.plus(immediate)
        case 1:  # c.addiw
            return rd, _sum32(source, immediate)
        case 2:  # c.li
            return rd, Term(immediate & MASK64)
        case 3 if rd == _SP:  # c.addi16sp
            bits = (encoding >> 12 & 1) << 9 | (encoding >> 3 & 3) << 7 | (encoding >> 5 & 1) << 6
            bits |= (encoding >> 2 & 1) << 5 | (encoding >> 6 & 1) << 4
            return rd, None if source is None else source.plus(_signed(bits, 10))
        case 3:  # c.lui
            return rd, Term((immediate << 12) & MASK64)
        case 4:
            return 8 + (encoding >> 7 & 7), None
    return None


def _quadrant0(now: Mapping[int, Term], encoding: int, function: int, short: int) -> _Step:
    base = now.get(8 + (encoding >> 7 & 7))
    if function == 3:  # c.ld
        return short, _loaded(base, (encoding >> 10 & 7) << 3 | (encoding >> 5 & 3) << 6)
    if function == 0:  # c.addi4spn
        offset = (encoding >> 7 & 15) << 6 | (encoding >> 11 & 3) << 4
        offset |= (encoding >> 5 & 1) << 3 | (encoding >> 6 & 1) << 2
        sp = now.get(_SP)
        return short, None if sp is None else sp.plus(offset)
    if function == 2:  # c.lw
        return short, None
    return 0, None


def _quadrant2(now: Mapping[int, Term], encoding: int, function: int, rd: int) -> _Step:
    if function == 3:  # c.ldsp
        offset = (encoding >> 12 & 1) << 5 | (encoding >> 5 & 3) << 3 | (encoding >> 2 & 7) << 6
        return rd, _loaded(now.get(_SP), offset)
    if function == 0:  # c.slli
        shift = (encoding >> 12 & 1) << 5 | encoding >> 2 & 31
        return rd, _shifted(now.get(rd), shift)
    if function == 2:  # c.lwsp
        return rd, None
    if function == 4:
        other = encoding >> 2 & 31
        if not other:  # c.jr, c.jalr, c.ebreak
            return None
        return rd, None if encoding >> 12 & 1 else now.get(other)  # c.add, c.mv
    return 0, None


def _loaded(base: Term | None, offset: int) -> Term | None:
    return None if base is None else Term(at=base.plus(offset))


def _shifted(term: Term | None, bits: int) -> Term | None:
    if term is None or not term.is_constant:
        return None
    return Term(term.constant << bits & MASK64)


def _sum32(term: Term | None, number: int) -> Term | None:
    if term is None or not term.is_constant:
        return None
    return Term(_signed((term.constant + number) & 0xFFFF_FFFF, 32) & MASK64)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value
