"""Calls in machine code: where a function calls another one (RISC-V unprivileged spec, "jal")."""

import re

from rcdbg.riscv.instructions.fields import i_immediate, jal_offset, u_immediate

_AUIPC, _JALR, _JAL, _RA = 0x17, 0x67, 0x6F, 1

UNKNOWN = -1
"""What a call through a register calls."""

_CALLS = re.compile(
    rb"(?=(\x97[\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0]..\xe7\x80)"
    rb"|\xef[\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0])",
    re.DOTALL,
)
"""`auipc ra` and `jalr ra, (ra)`, or `jal ra`."""


def behind_call(code: bytes, start: int, target: int) -> int | None:
    """The address behind the first call of `target` in code that begins at `start`, or None."""
    at = 0
    while at + 4 <= len(code):
        word = int.from_bytes(code[at : at + 4], "little")
        if word & 3 != 3:
            at += 2
            continue
        rd, opcode = word >> 7 & 31, word & 0x7F
        if opcode == _JAL and rd == _RA and start + at + jal_offset(word) == target:
            return start + at + 4
        if opcode == _AUIPC and at + 8 <= len(code):
            after = int.from_bytes(code[at + 4 : at + 8], "little")
            is_call = after & 0x7F == _JALR and after >> 7 & 31 == _RA and after >> 15 & 31 == rd
            base = start + at + u_immediate(word)
            if is_call and base + i_immediate(after) == target:
                return start + at + 8
        at += 4
    return None


def behind_calls(code: bytes, start: int, target: int) -> list[int]:
    """The addresses behind all calls of `target` in code that begins at `start`, in order.

    Bytes that only look like a call of just that address are taken for one.
    """
    found = []
    for match in _CALLS.finditer(code):
        at = match.start()
        if at & 1:
            continue
        length = 8 if match[1] is not None else 4
        if called_before(code[at : at + length], start + at + length) == target:
            found.append(start + at + length)
    return found


def called_before(code: bytes, behind: int) -> int | None:
    """What the call at the end of `code` calls; UNKNOWN if a register says it, None for no call.

    `behind` is the address behind the code.
    """
    last = int.from_bytes(code[-4:], "little") if len(code) >= 4 else 0
    rd, opcode = last >> 7 & 31, last & 0x7F
    if opcode == _JAL and rd == _RA:
        return behind - 4 + jal_offset(last)
    if opcode == _JALR and rd == _RA and not last >> 12 & 7:
        before = int.from_bytes(code[-8:-4], "little") if len(code) >= 8 else 0
        if before & 0x7F == _AUIPC and before >> 7 & 31 == last >> 15 & 31:
            base = behind - 8 + u_immediate(before)
            return base + i_immediate(last) & (1 << 64) - 1
        return UNKNOWN
    short = int.from_bytes(code[-2:], "little")
    is_c_jalr = short & 0xF07F == 0x9002 and short >> 7 & 31
    return UNKNOWN if is_c_jalr else None


def restored_ra(code: bytes) -> bytes:
    """What code begins with if that is `ld ra, (sp)` and `addi sp, sp, 8`, in 2 or 4 bytes each."""
    found = b""
    for forms in ((b"\x82\x60", b"\x83\x30\x01\x00"), (b"\x21\x01", b"\x13\x01\x81\x00")):
        form = next((f for f in forms if code[len(found) :].startswith(f)), None)
        if form is None:
            return b""
        found += form
    return found
