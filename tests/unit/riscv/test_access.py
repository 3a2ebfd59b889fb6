"""Verdicts against a reference written from the specification's algorithm (4.3.2, steps 5 to 7)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.riscv import access, pages, paging
from rcdbg.riscv.access import SUM, Access, Privilege, verdict, verdicts
from rcdbg.riscv.pte import A, D, R, U, V, W, X

PAGE = 4096
ROOT = 0x80000


def walk_to(pte: int, level: int, va: int = 5 << 30) -> paging.Walk:
    """A walk that ends at `pte` in a table of that level, or goes on from it into nothing."""
    table = {ROOT: bytearray(PAGE), ROOT + 1: bytearray(PAGE), ROOT + 2: bytearray(PAGE)}
    for step in range(2, level, -1):
        pointer = (ROOT + 3 - step) << 10 | V
        struct.pack_into("<Q", table[ROOT + 2 - step], pages.index(va, step) * 8, pointer)
    struct.pack_into("<Q", table[ROOT + 2 - level], pages.index(va, level) * 8, pte)

    def read(address: int, size: int) -> bytes:
        page = table.get(address // PAGE, bytearray(PAGE))
        return bytes(page[address % PAGE : address % PAGE + size])

    return paging.walk(read, paging.Satp.of(paging.SV39, ROOT), va)


def reference(
    pte: int, level: int, kind: Access, privilege: Privilege, sum_: bool, mxr: bool
) -> bool | None:
    """What the specification says of a leaf that the walk came to; None where the hart decides."""
    v, r, w, x, u, _, a, d = (pte >> n & 1 for n in range(8))
    if not v or (not r and w) or pte >> 54:
        return False
    assert r or x
    # Step 5: the rights, given the privilege mode and the SUM and MXR fields of mstatus.
    if kind == "fetch":
        permitted = bool(x) and (bool(u) if privilege == "U" else not u)
    else:
        right = w if kind == "write" else r or (x and mxr)
        permitted = bool(right) and (bool(u) if privilege == "U" else not u or sum_)
    if not permitted:
        return False
    # Step 6: misaligned superpages.
    if level and pte >> 10 & (1 << 9 * level) - 1:
        return False
    # Step 7: A, and D for a store.
    return None if not a or (kind == "write" and not d) else True


ptes = st.one_of(
    st.builds(lambda f, p: p << 10 | f, st.integers(0, 0x3FF), st.sampled_from([0, 1 << 18, 7])),
    st.integers(0, (1 << 64) - 1),
)


@given(
    ptes.filter(lambda p: p & 0xE),
    st.integers(0, 2),
    st.sampled_from(access.ACCESSES),
    st.sampled_from(access.PRIVILEGES),
    st.booleans(),
    st.booleans(),
)
def test_a_verdict_is_the_specifications(
    pte: int, level: int, kind: Access, privilege: Privilege, sum_: bool, mxr: bool
) -> None:
    found = verdict(walk_to(pte, level), kind, privilege, sum_=sum_, mxr=mxr)
    assert found.allowed is reference(pte, level, kind, privilege, sum_, mxr)
    assert (found.allowed is True) == (not found.broken)


GOOD = V | A | D


@pytest.mark.parametrize(
    ("bits", "kind", "privilege", "rules"),
    [
        (0, "read", "S", ["V"]),
        (GOOD | W, "read", "S", ["reserved"]),
        (GOOD | X, "read", "S", ["R"]),
        (GOOD | R, "write", "S", ["W"]),
        (GOOD | R | W, "fetch", "S", ["X"]),
        (GOOD | R, "read", "U", ["U"]),
        (GOOD | R | U, "read", "S", ["SUM"]),
        (GOOD | R | X | U, "fetch", "S", ["U-fetch"]),
        (GOOD | R, "write", "U", ["W", "U"]),
        (V | R | W, "write", "S", ["A", "D"]),
        (V | R | W | A, "read", "S", []),
    ],
)
def test_the_rule_is_named(bits: int, kind: Access, privilege: Privilege, rules: list[str]) -> None:
    found = verdict(walk_to(0x80200 << 10 | bits, 0), kind, privilege)
    assert [rule.name for rule in found.broken] == rules
    assert all(rule.why for rule in found.broken)


def test_rights_come_before_a_misaligned_superpage() -> None:
    found = verdict(walk_to(0x80201 << 10 | GOOD | R, 1), "write", "S")
    assert [rule.name for rule in found.broken] == ["W", "misaligned"]


def test_what_ends_the_walk_decides() -> None:
    assert verdict(walk_to(1, 0), "read", "S").broken[0].name == "level"
    assert verdict(walk_to(0, 0, 1 << 40), "read", "S").broken[0].name == "canonical"
    bare = paging.Walk(0x1000, (), 0x1000, None)
    assert verdict(bare, "fetch", "U").allowed is True


def test_sstatus_gives_sum() -> None:
    walk = walk_to(0x80200 << 10 | GOOD | R | U, 0)
    answers = {(v.privilege, v.access): v.allowed for v in verdicts(walk, SUM)}
    assert answers["S", "read"] is True
    assert answers["S", "fetch"] is False
    assert len(answers) == 6


@pytest.mark.parametrize(
    ("satp", "bits"),
    [
        (paging.Satp.of(paging.SV39, 1), 1 << 63 | 8 << 10 | 0xCF),
        (paging.Satp.of(paging.SV39, 1), 1 << 61 | 0xCF),
        (paging.Satp(11 << 60 | 1), 0),
    ],
)
def test_what_an_extension_or_another_scheme_decides_is_no_fault(
    satp: paging.Satp, bits: int
) -> None:
    """A hart with Svnapot or Svpbmt reads there, as QEMU's does if it has them."""
    tables = {0x1000: 2 << 10 | 1, 0x2000: 3 << 10 | 1}
    found = paging.walk(lambda at, size: tables.get(at, bits).to_bytes(size, "little"), satp, 0)
    assert found.physical is None
    assert [one.allowed for one in verdicts(found, 0)] == [None] * 6
