"""Where conditional branches go: encodings, and what llvm-mc -disassemble says of them."""

import pytest

from rcdbg.riscv.code import branch


@pytest.mark.parametrize(
    ("encoding", "distance"),
    [
        (0x00B50463, 8),  # beq a0, a1, .+8
        (0xFEB51CE3, -8),  # bne a0, a1, .-8
        (0x02D55263, 0x24),  # bge a0, a3, .+0x24, as in a program of rCore-Tutorial-v3
        (0xC501, 8),  # c.beqz a0, .+8
        (0xFD65, -8),  # c.bnez a0, .-8
        (0x0000006F, None),  # j .
        (0x00000073, None),  # ecall
        (0x4501, None),  # c.li a0, 0
    ],
)
def test_where_a_branch_goes(encoding: int, distance: int | None) -> None:
    expected = None if distance is None else 0x1000 + distance
    assert branch(encoding, 0x1000) == expected
