"""Compressed instructions as the full ones that they stand for: unprivileged spec, chapter "C"."""

from rcdbg.riscv.instructions.fields import (
    addi16sp_offset,
    bits_at,
    branch_offset,
    cb_offset,
    ci_immediate,
    cj_offset,
    jal_offset,
)

_RA, _SP = 1, 2
_LOAD, _LOAD_FP, _OP_IMM, _OP_IMM_32 = 0x03, 0x07, 0x13, 0x1B
_STORE, _STORE_FP, _OP, _LUI, _OP_32 = 0x23, 0x27, 0x33, 0x37, 0x3B
_BRANCH, _JALR, _JAL = 0x63, 0x67, 0x6F
EBREAK = 0x0010_0073

_LOADS = {1: (_LOAD_FP, 3), 2: (_LOAD, 2), 3: (_LOAD, 3)}
"""By the compressed function: opcode and function of the full load, whose width follows."""
_STORES = {5: (_STORE_FP, 3), 6: (_STORE, 2), 7: (_STORE, 3)}


def expanded(half: int) -> int | None:
    """The 32-bit encoding of what a 16-bit one does; None for what is reserved or not known.

    Hints, which do nothing, come as the instruction without effect that they are.
    """
    if not 0 < half < 1 << 16:
        return None  # all bits 0: illegal by definition
    quadrant, function = half & 3, half >> 13
    if quadrant == 0:
        return _quadrant_0(half, function)
    if quadrant == 1:
        return _quadrant_1(half, function)
    return _quadrant_2(half, function) if quadrant == 2 else None


def _i(opcode: int, function: int, rd: int, rs1: int, constant: int) -> int:
    return (constant & 0xFFF) << 20 | rs1 << 15 | function << 12 | rd << 7 | opcode


def _s(opcode: int, function: int, rs1: int, rs2: int, distance: int) -> int:
    low, high = distance & 31, distance >> 5 & 0x7F
    return high << 25 | rs2 << 20 | rs1 << 15 | function << 12 | low << 7 | opcode


def _r(opcode: int, function: int, rd: int, rs1: int, rs2: int, high: int = 0) -> int:
    return high << 25 | rs2 << 20 | rs1 << 15 | function << 12 | rd << 7 | opcode


def _jal(rd: int, distance: int) -> int:
    parts = (1, 10, 21), (11, 1, 20), (12, 8, 12), (20, 1, 31)
    word = bits_at(distance, *parts) | rd << 7 | _JAL
    assert jal_offset(word) == distance
    return word


def _branch(function: int, rs1: int, distance: int) -> int:
    parts = (1, 4, 8), (5, 6, 25), (11, 1, 7), (12, 1, 31)
    word = bits_at(distance, *parts) | rs1 << 15 | function << 12 | _BRANCH
    assert branch_offset(word) == distance
    return word


def _word_distance(half: int) -> int:
    return bits_at(half, (6, 1, 2), (10, 3, 3), (5, 1, 6))


def _double_distance(half: int) -> int:
    return bits_at(half, (10, 3, 3), (5, 2, 6))


def _quadrant_0(half: int, function: int) -> int | None:
    low, base = 8 + (half >> 2 & 7), 8 + (half >> 7 & 7)
    if function == 0:  # c.addi4spn
        constant = bits_at(half, (6, 1, 2), (5, 1, 3), (11, 2, 4), (7, 4, 6))
        return _i(_OP_IMM, 0, low, _SP, constant) if constant else None
    distance = _word_distance(half) if function in (2, 6) else _double_distance(half)
    if function in _LOADS:
        opcode, width = _LOADS[function]
        return _i(opcode, width, low, base, distance)
    if function in _STORES:
        opcode, width = _STORES[function]
        return _s(opcode, width, base, low, distance)
    return None


def _quadrant_1(half: int, function: int) -> int | None:
    rd, constant = half >> 7 & 31, ci_immediate(half)
    if function == 0:  # c.nop, c.addi
        return _i(_OP_IMM, 0, rd, rd, constant)
    if function == 1:  # c.addiw
        return _i(_OP_IMM_32, 0, rd, rd, constant) if rd else None
    if function == 2:  # c.li
        return _i(_OP_IMM, 0, rd, 0, constant)
    if function == 3:
        if rd == _SP:
            offset = addi16sp_offset(half)
            return _i(_OP_IMM, 0, _SP, _SP, offset) if offset else None
        return (constant & 0xF_FFFF) << 12 | rd << 7 | _LUI if constant else None
    if function == 4:
        return _arithmetic(half)
    if function == 5:
        return _jal(0, cj_offset(half))
    return _branch(function - 6, 8 + (rd & 7), cb_offset(half))  # c.beqz, c.bnez


def _arithmetic(half: int) -> int | None:
    rd, kind = 8 + (half >> 7 & 7), half >> 10 & 3
    shift = ci_immediate(half) & 63
    if kind == 0:  # c.srli
        return _i(_OP_IMM, 5, rd, rd, shift)
    if kind == 1:  # c.srai
        return _i(_OP_IMM, 5, rd, rd, shift | 0x400)
    if kind == 2:  # c.andi
        return _i(_OP_IMM, 7, rd, rd, ci_immediate(half))
    rs2, which = 8 + (half >> 2 & 7), half >> 5 & 3
    if half >> 12 & 1:
        return _r(_OP_32, 0, rd, rd, rs2, (0x20, 0)[which]) if which < 2 else None
    return _r(_OP, (0, 4, 6, 7)[which], rd, rd, rs2, 0 if which else 0x20)


def _quadrant_2(half: int, function: int) -> int | None:
    rd, rs2 = half >> 7 & 31, half >> 2 & 31
    if function == 0:  # c.slli
        return _i(_OP_IMM, 1, rd, rd, ci_immediate(half) & 63)
    if function in _LOADS:
        opcode, width = _LOADS[function]
        wide = bits_at(half, (5, 2, 3), (12, 1, 5), (2, 3, 6))
        narrow = bits_at(half, (4, 3, 2), (12, 1, 5), (2, 2, 6))
        if not rd and opcode == _LOAD:
            return None
        return _i(opcode, width, rd, _SP, narrow if width == 2 else wide)
    if function in _STORES:
        opcode, width = _STORES[function]
        wide, narrow = bits_at(half, (10, 3, 3), (7, 3, 6)), bits_at(half, (9, 4, 2), (7, 2, 6))
        return _s(opcode, width, _SP, rs2, narrow if width == 2 else wide)
    return _moves_and_jumps(rd, rs2, half >> 12 & 1)


def _moves_and_jumps(rd: int, rs2: int, second: int) -> int | None:
    if rs2:
        # A move is written as the addition of 0 that assemblers call `mv`.
        return _r(_OP, 0, rd, rd, rs2) if second else _i(_OP_IMM, 0, rd, rs2, 0)
    if not rd:
        return EBREAK if second else None
    return _i(_JALR, 0, _RA if second else 0, rd, 0)
