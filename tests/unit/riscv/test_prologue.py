"""Stack frames by a function's own instructions; the code is what LLVM's assembler made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.riscv.prologue import Opened, stack_frame

# addi sp,sp,-32; sd ra,24(sp); sd s0,16(sp); addi s0,sp,32; jalr a0; ld ra,24(sp); ld s0,16(sp);
# addi sp,sp,32; ret: with compressed instructions.
COMPRESSED = bytes.fromhex("0111 06ec 22e8 0010 0295 e260 4264 0561 8280")
# The same with N = 2000, which no compressed instruction can say; sd ra,1992(sp).
FULL = bytes.fromhex("13010183 2334117c e7000500 8330817c 1301017d 67800000")
# addi sp,sp,-496; sd s11,504(sp); nop: the odd immediates of the C extension.
ODD = bytes.fromhex("4171 eeff 0100 0295")


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, Opened(0, {})),
        (2, Opened(32, {})),
        (4, Opened(32, {1: -8})),
        (8, Opened(32, {1: -8, 8: -16})),
        (10, Opened(32, {1: -8, 8: -16})),
        (12, Opened(32, {8: -16})),
        (14, Opened(32, {})),
        (16, Opened(0, {})),
    ],
)
def test_each_instruction(offset: int, expected: Opened) -> None:
    assert stack_frame(COMPRESSED, offset) == expected


def test_instructions_of_four_bytes_and_odd_offsets() -> None:
    assert stack_frame(FULL, 8) == stack_frame(FULL, 12) == Opened(2000, {1: -8})
    assert stack_frame(FULL, 16) == Opened(2000, {})
    assert stack_frame(FULL, 20) == Opened(0, {})
    assert stack_frame(ODD, 6) == Opened(496, {27: 8})


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes(code: bytes, offset: int) -> None:
    found = stack_frame(code, offset)
    assert found is None or found.size >= 0
