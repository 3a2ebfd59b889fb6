"""Guests of a few RISC-V instructions, entered in S-mode with paging off."""

from collections.abc import Sequence

ADDI, JAL, BRANCH, LUI, AUIPC, SW = 0x13, 0x6F, 0x63, 0x37, 0x17, 0x23
ECALL = 0x0000_0073
WFI = 0x1050_0073
ZERO, T0, T1, A0, A7 = 0, 5, 6, 10, 17


def addi(rd: int, rs: int, immediate: int) -> int:
    """`addi rd, rs, immediate`; with `zero` it is `li`."""
    return (immediate & 0xFFF) << 20 | rs << 15 | rd << 7 | ADDI


def lui(rd: int, immediate: int) -> int:
    """`lui rd, immediate`."""
    return (immediate & 0xFFFFF) << 12 | rd << 7 | LUI


def auipc(rd: int, immediate: int) -> int:
    """`auipc rd, immediate`."""
    return (immediate & 0xFFFFF) << 12 | rd << 7 | AUIPC


def sw(source: int, base: int) -> int:
    """`sw source, 0(base)`."""
    return source << 20 | base << 15 | 2 << 12 | SW


def jump(offset: int) -> int:
    """`j` to `offset` bytes from here."""
    return (
        (offset >> 20 & 1) << 31
        | (offset >> 1 & 0x3FF) << 21
        | (offset >> 11 & 1) << 20
        | (offset >> 12 & 0xFF) << 12
        | JAL
    )


def branch_if_negative(rs: int, offset: int) -> int:
    """`bltz rs` to `offset` bytes from here."""
    return (
        (offset >> 12 & 1) << 31
        | (offset >> 5 & 0x3F) << 25
        | rs << 15
        | 4 << 12
        | (offset >> 1 & 0xF) << 8
        | (offset >> 11 & 1) << 7
        | BRANCH
    )


def shut_down(status: int) -> Sequence[int]:
    """Ends QEMU with `status`, by the `sifive_test` device at 0x100000."""
    # 0x5555 means success, 0x3333 failure with the status in the upper half.
    value = status << 16 | 0x3333 if status else 0x5555
    return [
        lui(T0, 0x100),
        lui(T1, value + 0x800 >> 12),
        addi(T1, T1, value & 0xFFF),
        sw(T1, T0),
        jump(0),
    ]


SPIN = [jump(0)]
"""Runs for ever without going anywhere."""

COUNT = [addi(A0, A0, 1), jump(-4)]
"""Counts in a0, for ever."""

STORE = [auipc(T0, 0x100), addi(T1, ZERO, 0), addi(T1, T1, 1), sw(T1, T0), jump(-8)]
STORED_AT = 0x8030_0000
"""Counts in memory, for ever, from 1."""

WAIT = [WFI, jump(-4)]
"""Waits for interrupts that are not enabled."""

ECHO = [
    addi(A7, ZERO, 2),  # SBI legacy console_getchar: a0 is negative if there is none
    ECALL,
    branch_if_negative(A0, -8),
    addi(A7, ZERO, 1),  # SBI legacy console_putchar
    ECALL,
    jump(-20),
]
"""Prints what is typed."""
