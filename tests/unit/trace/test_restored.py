"""What registers are at the end of straight code; the encodings were made by `llvm-mc`."""

from rcdbg.trace.observers.restored import Term, restored, vector_inside

START = 0x8020_0000
FROM_A_CONSTANT = bytes.fromhex("37050002 7d35 3605 03310503 2c7d 2879")
"""lui a0, 8192; addiw a0, a0, -1; slli a0, a0, 13; ld sp, 48(a0); ld a1, 120(a0);
ld a0, 112(a0)"""
FROM_A_CSR = bytes.fromhex("97020000 9382a205 73905210 f3220014 23b02200 1681 4665 4261")
"""auipc t0, 0; addi t0, t0, 90; csrw stvec, t0; csrr t0, sscratch; sd sp, 0(t0); mv sp, t0;
ld a0, 80(sp); ld sp, 16(sp)"""
FRAME = 0x1FF_FFFF << 13


def computed(term: Term | None, memory: dict[int, int], **csrs: int) -> int | None:
    assert term is not None
    return term.value(tuple(range(100, 132)), csrs.get, memory.get)


def test_loaded_from_an_address_that_is_a_constant() -> None:
    found = restored(FROM_A_CONSTANT, START)
    memory = {FRAME + 48: 7, FRAME + 112: 8, FRAME + 120: 9}
    assert [computed(found[n], memory) for n in (2, 10, 11)] == [7, 8, 9]
    assert computed(found[5], {}) == 105, "t0 is what it was"
    assert computed(found[2], {}) is None


def test_loaded_from_where_a_csr_points() -> None:
    found = restored(FROM_A_CSR, START)
    assert computed(found[10], {0x5050: 8}, sscratch=0x5000) == 8
    assert computed(found[2], {0x5010: 6}, sscratch=0x5000) == 6
    assert computed(found[10], {}) is None, "sscratch is not known"
    assert found[10].csrs == ("sscratch",)


def test_what_cannot_be_told_is_left_out() -> None:
    """mul a0, a0, a1; then a jump."""
    assert 10 not in restored(bytes.fromhex("3305b502"), START)
    assert restored(bytes.fromhex("3305b502 6f000000"), START) == {}


def test_a_function_that_is_its_own_trap_vector() -> None:
    code = FROM_A_CSR + bytes(100)
    assert vector_inside(code, START) == START + 90
    assert vector_inside(FROM_A_CSR, START) is None, "it is somewhere else"
    assert vector_inside(FROM_A_CONSTANT, START) is None
