"""Instructions that tracing looks for; the encodings were made by `llvm-mc`."""

import pytest

from rcdbg.riscv import code


@pytest.mark.parametrize(
    ("encoding", "csr"),
    [
        (0x18051073, 0x180),  # csrw satp, a0
        (0x18002573, None),  # csrr a0, satp
        (0x18052073, 0x180),  # csrs satp, a0
        (0x10016073, 0x100),  # csrsi sstatus, 2
        (0x10006073, None),  # csrsi sstatus, 0
        (0x00000073, None),  # ecall
    ],
)
def test_only_instructions_that_write_a_csr_count(encoding: int, csr: int | None) -> None:
    assert code.csr_written(encoding) == csr


def test_a_jump_over_two_instructions_is_one_jump() -> None:
    """auipc ra, 1; jalr ra, -4(ra): a call to 0x1000 - 4 further on."""
    data = (0x00001097).to_bytes(4, "little") + (0xFFC080E7).to_bytes(4, "little")
    (jump,) = code.jumps(data, 0x8000_0000)
    assert (jump.target, jump.returns_to, jump.links) == (0x8000_0FFC, 0x8000_0008, True)


def test_code_that_is_cut_off_ends() -> None:
    assert list(code.instructions(b"\x73\x00\x00", 0)) == []
