"""Instructions in words; encodings and words were made by `llvm-mc` and `llvm-objdump` 14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.riscv.code import size_of
from rcdbg.riscv.instructions.csr_names import CSR_NAMES, is_read_only, lowest_privilege
from rcdbg.riscv.instructions.decode import Operand, decode, decode_bytes, in_words


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        (0x14011173, "csrrw sp, sscratch, sp"),
        (0x10529073, "csrw stvec, t0"),
        (0x10016073, "csrsi sstatus, 2"),
        (0x14202573, "csrr a0, scause"),
        (0xc01025f3, "rdtime a1"),
        (0x10200073, "sret"),
        (0x30200073, "mret"),
        (0x10500073, "wfi"),
        (0x00000073, "ecall"),
        (0x9002, "ebreak"),
        (0x12000073, "sfence.vma"),
        (0x12050073, "sfence.vma a0"),
        (0x12b50073, "sfence.vma a0, a1"),
        (0x0000100f, "fence.i"),
        (0x0ff0000f, "fence"),
        (0x0310000f, "fence rw, w"),
        (0xff843503, "ld a0, -8(s0)"),
        (0xe406, "sd ra, 8(sp)"),
        (0x04014283, "lbu t0, 64(sp)"),
        (0x2988, "fld fa0, 16(a1)"),
        (0xffb53427, "fsd fs11, -24(a0)"),
        (0x0cb5262f, "amoswap.w.aq a2, a1, (a0)"),
        (0x1005b52f, "lr.d a0, (a1)"),
        (0x1ac5a6af, "sc.w.rl a3, a2, (a1)"),
        (0x80000537, "lui a0, 524288"),
        (0x00001097, "auipc ra, 1"),
        (0x8082, "ret"),
        (0x8282, "jr t0"),
        (0x010300e7, "jalr 16(t1)"),
        (0x02c5b533, "mulhu a0, a1, a2"),
        (0x03c4c43b, "divw s0, s1, t3"),
        (0x43f5d513, "srai a0, a1, 63"),
        (0x41f5d51b, "sraiw a0, a1, 31"),
        (0x00b03533, "snez a0, a1"),
        (0x40b00533, "neg a0, a1"),
        (0x0005851b, "sext.w a0, a1"),
        (0x80000513, "li a0, -2048"),
        (0x8dfe, "mv s11, t6"),
        (0x7c0ffff3, "csrrci t6, 0x7c0, 31"),
        (0x0000, "unimp"),
    ],
)  # fmt: skip
def test_it_says_what_llvm_says(encoding: int, words: str) -> None:
    assert decode(encoding).text == words


@pytest.mark.parametrize(
    ("encoding", "operand"),
    [
        (0xFF843503, Operand(8, -8, 8, "read")),  # ld a0, -8(s0)
        (0xE406, Operand(2, 8, 8, "write")),  # c.sdsp ra, 8(sp)
        (0x04014283, Operand(2, 64, 1, "read")),  # lbu t0, 64(sp)
        (0x0CB5262F, Operand(10, 0, 4, "atomic")),  # amoswap.w.aq a2, a1, (a0)
        (0x1005B52F, Operand(11, 0, 8, "read")),  # lr.d a0, (a1)
        (0x1AC5A6AF, Operand(11, 0, 4, "write")),  # sc.w.rl a3, a2, (a1)
        (0x2988, Operand(11, 16, 8, "read")),  # c.fld fa0, 16(a1)
        (0x14011173, None),  # csrrw sp, sscratch, sp
    ],
)
def test_the_memory_that_it_uses(encoding: int, operand: Operand | None) -> None:
    assert decode(encoding).memory == operand


def test_an_address_goes_round_at_the_end_of_memory() -> None:
    operand = decode(0xFF843503).memory
    assert operand is not None
    assert operand.address((0,) * 32) == (1 << 64) - 8


def test_branches_say_where_they_go() -> None:
    backwards = decode(0xFE0513E3, 0x8020_0010)  # bnez a0, -26
    assert backwards.text == f"bnez a0, {0x80200010 - 26:#x}"
    assert backwards.target == 0x8020_0010 - 26


@pytest.mark.parametrize("encoding", [0x0000_707F, 0x6001, 0x8002, 0xFFFF_FFFF, 0x2234_0073])
def test_what_is_reserved_is_shown_as_a_number(encoding: int) -> None:
    found = decode(encoding)
    assert not found.known
    assert found.text == f".insn {found.size}, {encoding:#0{2 + 2 * found.size}x}"


@given(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1))
def test_nothing_is_too_odd_for_it(encoding: int, address: int) -> None:
    found = decode(encoding, address)
    assert found.size == size_of(encoding)
    assert found.text
    assert found.memory is None or found.known
    assert found.target is None or 0 <= found.target < 1 << 64


@given(st.binary(max_size=6))
def test_bytes_that_end_too_early(code: bytes) -> None:
    found = decode_bytes(code)
    assert (found is None) == (len(code) < 2 or len(code) < size_of(code[0]))


def test_only_what_another_disassembler_does_not_know_is_replaced() -> None:
    code = (0x14011173).to_bytes(4, "little")
    assert in_words(".insn\t4, 0x14011173", code, 0) == "csrrw\tsp,sscratch,sp"
    assert in_words("csrrw\tsp,sscratch,sp", code, 0) == "csrrw\tsp,sscratch,sp"
    assert in_words(".insn\t4, 0xffffffff", b"\xff" * 4, 0) == ".insn\t4, 0xffffffff"


def test_csrs_by_number() -> None:
    """From table 2.2 of the privileged specification."""
    assert (CSR_NAMES[0x180], CSR_NAMES[0xC01], CSR_NAMES[0x3EF]) == ("satp", "time", "pmpaddr63")
    assert (lowest_privilege(0xC00), lowest_privilege(0x105), lowest_privilege(0x300)) == (0, 1, 3)
    assert is_read_only(0xC00)
    assert not is_read_only(0x105)
