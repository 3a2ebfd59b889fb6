"""What a function's own instructions say about its stack frame, for code without other information.

Compilers open a frame with `addi sp, sp, -N` and save registers with `sd r, off(sp)` before the
first jump, and undo it right before `ret`. Source of the encodings: RISC-V unprivileged
specification, RV64I and the C extension.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.riscv.instructions.compressed import expanded
from rcdbg.riscv.instructions.fields import i_immediate, s_immediate

_SP = 2
_MOST = 64
_RET, _C_RET = 0x0000_8067, 0x8082


@dataclass(frozen=True, slots=True)
class Opened:
    """A stack frame at one instruction: its size, and where caller's registers are saved."""

    size: int
    """Bytes from sp to the stack pointer of the caller."""
    saved: dict[int, int]
    """By register: the offset from the caller's stack pointer, negative."""


@dataclass(frozen=True, slots=True)
class _Step:
    kind: str
    """"sp" moves sp, "save" and "load" a register at sp + number, "jump", "ret", or "other"."""
    number: int = 0
    register: int = 0


def stack_frame(code: bytes, offset: int) -> Opened | None:
    """The frame at the instruction `offset` bytes into a function; None if that does not add up."""
    left = _still_to_come(code[offset:])
    if left is not None:
        return left
    size, saved = 0, dict[int, int]()
    for position, step in _steps(code):
        if position >= offset or step.kind in ("jump", "ret"):
            break
        if step.kind == "sp":
            size -= step.number
        elif step.kind == "save":
            saved.setdefault(step.register, step.number - size)
    return Opened(size, saved) if size >= 0 else None


def _still_to_come(code: bytes) -> Opened | None:
    """The frame of which the rest of an epilogue is still to be executed; None in no epilogue."""
    size, saved = 0, dict[int, int]()
    loads: list[tuple[int, int]] = []
    for _, step in _steps(code):
        if step.kind == "sp" and step.number > 0:
            size += step.number
        elif step.kind == "load":
            loads.append((step.register, size + step.number))
        elif step.kind == "ret":
            for register, place in loads:
                saved[register] = place - size
            return Opened(size, saved)
        else:
            return None
    return None


def _steps(code: bytes) -> Iterator[tuple[int, _Step]]:
    position = 0
    for _ in range(_MOST):
        word = int.from_bytes(code[position : position + 2], "little")
        if position + 2 > len(code):
            return
        if word & 3 != 3:
            yield position, _compressed(word)
            position += 2
            continue
        if position + 4 > len(code):
            return
        yield position, _full(int.from_bytes(code[position : position + 4], "little"))
        position += 4


def _full(word: int) -> _Step:
    opcode, rd, funct3 = word & 0x7F, word >> 7 & 31, word >> 12 & 7
    rs1, rs2 = word >> 15 & 31, word >> 20 & 31
    immediate = i_immediate(word)
    if word == _RET:
        return _Step("ret")
    if opcode in (0x63, 0x67, 0x6F, 0x73):
        return _Step("jump")
    if opcode == 0x13 and funct3 == 0 and rd == rs1 == _SP:
        return _Step("sp", immediate)
    if opcode == 0x23 and funct3 == 3 and rs1 == _SP:
        return _Step("save", s_immediate(word), rs2)
    if opcode == 0x03 and funct3 == 3 and rs1 == _SP:
        return _Step("load", immediate, rd)
    return _Step("other")


def _compressed(half: int) -> _Step:
    """By the full instruction that it stands for, if that is one that matters here."""
    if half == _C_RET:
        return _Step("ret")
    word = expanded(half)
    return _Step("other") if word is None else _full(word)
