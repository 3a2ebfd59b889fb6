"""Instructions in machine code, told apart by their length (unprivileged spec, section 1.5)."""

from collections.abc import Iterator

SRET = 0x1020_0073
"""The instruction that leaves a trap taken to S-mode (privileged spec, section 3.3.2)."""


def instructions(code: bytes, address: int) -> Iterator[tuple[int, int]]:
    """Address and encoding of each instruction in `code`, which starts at `address`.

    An instruction whose lowest two bits are 11 has 32 bits, others have 16; longer ones than 32
    bits, which no ratified extension has, are gone through in steps of 32.
    """
    at = 0
    while at + 2 <= len(code):
        length = 4 if code[at] & 0b11 == 0b11 else 2
        if at + length > len(code):
            return
        yield address + at, int.from_bytes(code[at : at + length], "little")
        at += length
