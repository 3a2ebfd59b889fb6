"""Instructions in machine code: their lengths, and what the few that tracing looks for do.

Sources: unprivileged spec, section 1.5 (lengths), chapter "RV32I" (jal, jalr, auipc), chapter "C"
(compressed instructions), chapter "Zicsr"; privileged spec, section 3.3 (ecall, sret, wfi).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.riscv.instructions.fields import (
    branch_offset,
    cb_offset,
    cj_offset,
    i_immediate,
    jal_offset,
    u_immediate,
)

SRET = 0x1020_0073
"""The instruction that leaves a trap taken to S-mode (privileged spec, section 3.3.2)."""

ECALL = 0x0000_0073
"""The instruction that asks the next higher privilege for something (section 3.3.1)."""

WFI = 0x1050_0073
"""The instruction that waits for an interrupt; an implementation may do nothing (section 3.3.3)."""

NOP = 0x0000_0013
"""The instruction that does nothing: `addi x0, x0, 0`."""

SATP, STVEC = 0x180, 0x105
"""The numbers of the CSRs satp and stvec."""

_RA = 1
_SYSTEM, _JAL, _JALR, _AUIPC = 0x73, 0x6F, 0x67, 0x17
_BRANCH = 0x63
_MASK64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Jump:
    """A direct jump; with `links` a call, which returns behind `address` + `size`.

    `address` and `size` are those of the last instruction of it, in bytes.
    """

    address: int
    size: int
    target: int
    links: bool

    @property
    def returns_to(self) -> int:
        """Where the function that is called returns to."""
        return self.address + self.size


def instructions(code: bytes, address: int) -> Iterator[tuple[int, int]]:
    """Address and encoding of each instruction in `code`, which starts at `address`.

    An instruction whose lowest two bits are 11 has 32 bits, others have 16; longer ones than 32
    bits, which no ratified extension has, are gone through in steps of 32.
    """
    at = 0
    while at + 2 <= len(code):
        length = size_of(code[at])
        if at + length > len(code):
            return
        yield address + at, int.from_bytes(code[at : at + length], "little")
        at += length


def size_of(encoding: int) -> int:
    """Bytes of the instruction whose encoding, or its lowest byte, that is."""
    return 4 if encoding & 0b11 == 0b11 else 2


def csr_written(encoding: int) -> int | None:
    """The number of the CSR that the instruction writes; None for any other instruction."""
    if encoding & 0x7F != _SYSTEM or size_of(encoding) != 4:
        return None
    function, source = encoding >> 12 & 7, encoding >> 15 & 31
    if function in (1, 5):  # csrrw, csrrwi
        return encoding >> 20
    # The others, csrrs, csrrc and their immediate forms, write nothing with x0 or 0.
    return encoding >> 20 if function in (2, 3, 6, 7) and source else None


def jumps(code: bytes, address: int) -> Iterator[Jump]:
    """The direct jumps and calls in `code`: `jal`, `c.j`, and `auipc` with the `jalr` after it."""
    upper: tuple[int, int] | None = None
    for at, encoding in instructions(code, address):
        opcode, rd = encoding & 0x7F, encoding >> 7 & 31
        before, upper = upper, None
        if size_of(encoding) == 2:
            if encoding & 0xE003 == 0xA001:  # c.j
                yield Jump(at, 2, (at + cj_offset(encoding)) & _MASK64, False)
        elif opcode == _AUIPC:
            upper = rd, at + u_immediate(encoding)
        elif opcode == _JAL:
            yield Jump(at, 4, (at + jal_offset(encoding)) & _MASK64, rd == _RA)
        elif opcode == _JALR and before is not None and encoding >> 15 & 31 == before[0]:
            target = (before[1] + i_immediate(encoding)) & _MASK64
            yield Jump(at, 4, target, rd == _RA)


def branch(encoding: int, address: int) -> int | None:
    """Where a conditional branch at that address goes if it is taken; None if it is none."""
    if size_of(encoding) == 4:
        return address + branch_offset(encoding) if encoding & 0x7F == _BRANCH else None
    if encoding & 3 == 1 and encoding >> 13 & 7 in (6, 7):  # c.beqz, c.bnez
        return address + cb_offset(encoding)
    return None
