"""The numbers in an instruction: constants and distances, put together from their bits.

Sources: unprivileged spec, section 2.3 (immediates of RV32I), chapter "C" (those of the compressed
formats).
"""


def signed(value: int, bits: int) -> int:
    """A number of that many bits in two's complement."""
    return value - (1 << bits) if value >> bits - 1 & 1 else value


def bits_at(encoding: int, *parts: tuple[int, int, int]) -> int:
    """A number put together: (lowest bit there, how many, lowest bit in the number) of each."""
    return sum((encoding >> low & (1 << width) - 1) << to for low, width, to in parts)


def i_immediate(word: int) -> int:
    """The constant of loads, `addi`, `jalr` and their like."""
    return signed(word >> 20 & 0xFFF, 12)


def s_immediate(word: int) -> int:
    """The distance of a store."""
    return signed(bits_at(word, (7, 5, 0), (25, 7, 5)), 12)


def u_immediate(word: int) -> int:
    """The constant of `lui` and `auipc`, in its place: the low twelve bits are 0."""
    return signed(word & 0xFFFF_F000, 32)


def branch_offset(word: int) -> int:
    """The distance of a conditional branch."""
    return signed(bits_at(word, (8, 4, 1), (25, 6, 5), (7, 1, 11), (31, 1, 12)), 13)


def jal_offset(word: int) -> int:
    """The distance of a `jal`."""
    return signed(bits_at(word, (21, 10, 1), (20, 1, 11), (12, 8, 12), (31, 1, 20)), 21)


def cb_offset(half: int) -> int:
    """The distance of `c.beqz` and `c.bnez`."""
    return signed(bits_at(half, (3, 2, 1), (10, 2, 3), (2, 1, 5), (5, 2, 6), (12, 1, 8)), 9)


def cj_offset(half: int) -> int:
    """The distance of `c.j`."""
    parts = (3, 3, 1), (11, 1, 4), (2, 1, 5), (7, 1, 6), (6, 1, 7), (9, 2, 8), (8, 1, 10)
    return signed(bits_at(half, *parts, (12, 1, 11)), 12)


def addi16sp_offset(half: int) -> int:
    """The constant of `c.addi16sp`."""
    return signed(bits_at(half, (6, 1, 4), (2, 1, 5), (5, 1, 6), (3, 2, 7), (12, 1, 9)), 10)


def ci_immediate(half: int) -> int:
    """The constant of `c.addi`, `c.li`, `c.lui` and their like."""
    return signed(bits_at(half, (2, 5, 0), (12, 1, 5)), 6)
