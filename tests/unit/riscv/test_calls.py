"""Calls in machine code, encoded by hand from the specification's formats."""

import pytest

from rcdbg.riscv.calls import UNKNOWN, behind_call, behind_calls, called_before, restored_ra

START, NOP = 0x8020_0000, b"\x01\x00"


def jal(distance: int) -> bytes:
    """`jal ra, distance`"""
    d = distance & 0x1F_FFFF
    word = (d >> 20) << 31 | (d >> 1 & 0x3FF) << 21 | (d >> 11 & 1) << 20 | (d >> 12 & 0xFF) << 12
    return (word | 1 << 7 | 0x6F).to_bytes(4, "little")


def far(distance: int) -> bytes:
    """`auipc ra, high` and `jalr ra, low(ra)`"""
    low = (distance & 0xFFF) - (0x1000 if distance & 0x800 else 0)
    high = (distance - low) >> 12 & 0xF_FFFF
    first, second = high << 12 | 1 << 7 | 0x17, (low & 0xFFF) << 20 | 1 << 15 | 1 << 7 | 0x67
    return first.to_bytes(4, "little") + second.to_bytes(4, "little")


@pytest.mark.parametrize("distance", [0x10, 0x7FE, 0x800, 0x1234, -4, -0x800, -0x12346])
@pytest.mark.parametrize(("call", "size"), [(jal, 4), (far, 8)])
def test_a_call_is_found_by_its_target(call, size, distance) -> None:  # type: ignore[no-untyped-def]
    code = NOP + jal(0x40) + call(distance) + NOP
    target = START + 6 + distance
    assert behind_call(code, START, target) == START + 6 + size
    assert behind_call(code, START, target + 2) is None


def test_code_that_is_cut_off_ends_the_search() -> None:
    assert behind_call(far(0x100)[:6], START, START + 0x100) is None
    assert behind_call(b"", START, START) is None


def test_the_room_that_was_made_for_ra() -> None:
    assert restored_ra(b"\x82\x60\x21\x01\x82\x80") == b"\x82\x60\x21\x01"
    assert restored_ra(b"\x83\x30\x01\x00\x13\x01\x81\x00") == b"\x83\x30\x01\x00\x13\x01\x81\x00"
    assert restored_ra(b"\x82\x60\x82\x80") == b""


@pytest.mark.parametrize("distance", [0x10, 0x7FE, 0x800, 0x1234, -4, -0x800, -0x12346])
@pytest.mark.parametrize(("call", "size"), [(jal, 4), (far, 8)])
def test_all_calls_and_what_the_last_one_calls(call, size, distance) -> None:  # type: ignore[no-untyped-def]
    target = START + 2 + distance
    again = call(target - (START + 2 + size + 2))
    code = NOP + call(distance) + NOP + again + NOP
    first, second = START + 2 + size, START + 4 + 2 * size
    assert behind_calls(code, START, target) == [first, second]
    assert behind_calls(code, START, target + 2) == []
    assert called_before(code[: 2 + size], first) == target
    assert called_before(code[:-2], second) == target


def test_calls_through_a_register_and_none() -> None:
    """`c.jalr a5`, `jalr ra, 4(a5)`; `c.ebreak`, `c.jr ra`, `j`, `jalr t0, (a5)`, `nop`, none."""
    behind = START + 8
    for code in (b"\x82\x97", (4 << 20 | 15 << 15 | 1 << 7 | 0x67).to_bytes(4, "little")):
        assert called_before(NOP + NOP + code, behind) == UNKNOWN
    other = (15 << 15 | 5 << 7 | 0x67).to_bytes(4, "little")
    jump = bytes.fromhex("6f000001")
    for code in (b"\x02\x90", b"\x82\x80", jump, other, NOP, b""):
        assert called_before(code, behind) is None
