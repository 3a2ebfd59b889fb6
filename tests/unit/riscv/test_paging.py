"""satp, the schemes and the walk, against a walk written from the specification (4.3.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.riscv.paging import BARE, SCHEMES, SV39, SV48, SV57, Satp, Scheme, walk
from rcdbg.riscv.pte import Pte
from tests.unit.riscv.paged import LEVELS, ROOT, Pages, canonical, reference_translate, tables


@given(tables())
def test_walk_agrees_with_the_specification(case: tuple[Scheme, Pages, list[int]]) -> None:
    scheme, memory, addresses = case
    satp = Satp.of(scheme, ROOT)
    for va in addresses:
        found = walk(memory.read, satp, va)
        assert found.physical == reference_translate(memory, ROOT, LEVELS[scheme.name], va)
        assert (found.physical is None) == (found.fault is not None)
        assert [step.level for step in found.steps] == [
            *range(scheme.levels - 1, scheme.levels - 1 - len(found.steps), -1)
        ]


@given(st.integers(0, (1 << 64) - 1))
def test_the_fields_of_satp(value: int) -> None:
    """Section 4.1.11, figure 4.15: MODE 63..60, ASID 59..44, PPN 43..0."""
    satp = Satp(value)
    assert (satp.mode, satp.asid, satp.ppn) == (
        value // 2**60,
        value // 2**44 % 2**16,
        value % 2**44,
    )
    known = {0: BARE, 8: SV39, 9: SV48, 10: SV57}
    assert satp.scheme == known.get(satp.mode)
    assert satp.translates == (satp.mode in (8, 9, 10))
    assert satp.root == (satp.ppn if satp.translates else None)
    assert satp.tables == known.get(satp.mode or 8, SV39)


@given(st.sampled_from(SCHEMES), st.integers(0, 2**44 - 1), st.integers(0, 2**16 - 1))
def test_satp_is_made_of_its_fields(scheme: Scheme, ppn: int, asid: int) -> None:
    satp = Satp.of(scheme, ppn, asid)
    assert (satp.scheme, satp.ppn, satp.asid) == (scheme, ppn, asid)
    other = satp.other(5)
    assert (other.scheme, other.ppn, other.asid) == (satp.tables, 5, 0)


@pytest.mark.parametrize("ppn", [-1, 1 << 44])
def test_what_is_no_frame_is_no_root(ppn: int) -> None:
    with pytest.raises(ValueError, match="no frame number"):
        Satp.of(SV39, ppn)


def test_the_schemes_are_those_of_the_specification() -> None:
    assert [(s.name, s.mode, s.levels, s.bits) for s in SCHEMES] == [
        ("bare", 0, 0, 64), ("Sv39", 8, 3, 39), ("Sv48", 9, 4, 48), ("Sv57", 10, 5, 57),
    ]  # fmt: skip
    for scheme in (SV39, SV48, SV57):
        assert scheme.bits == 12 + 9 * scheme.levels


@given(st.sampled_from((SV39, SV48, SV57)), st.integers(0, (1 << 64) - 1))
def test_canonical_addresses(scheme: Scheme, va: int) -> None:
    right = canonical(va, scheme.levels)
    assert scheme.canonical(right)
    assert scheme.extended(va & (1 << scheme.bits) - 1) == right
    assert scheme.canonical(va) == (va == right)
    if va != right:
        found = walk(Pages().read, Satp.of(scheme, 0), va)
        assert (found.rule, found.physical) == ("canonical", None)
        assert f"63..{scheme.bits}" in (found.fault or "")


def test_bare_addresses_are_physical_and_a_reserved_mode_is_no_scheme() -> None:
    assert walk(Pages().read, Satp(0), 1 << 63).physical == 1 << 63
    found = walk(Pages().read, Satp(11 << 60), 0x1000)
    assert (found.physical, found.rule) == (None, "mode")
    assert "mode 11" in (found.fault or "")


@pytest.mark.parametrize(
    ("bits", "level", "why"),
    [
        (0x05, 0, "W without R"),
        (0x0D, 0, "W without R"),
        (0x11, 1, "A, D, U"),
        (0x01, 0, "level 0"),
        (1 << 10 | 0x0F, 1, "misaligned superpage: 2 MiB"),
        (1 << 27 | 0x0F, 2, "misaligned superpage: 1 GiB"),
        (1 << 36 | 0x0F, 3, "misaligned superpage: 512 GiB"),
        (1 << 45 | 0x0F, 4, "misaligned superpage: 256 TiB"),
        (1 << 54 | 0x0F, 0, "60..54"),
        (1 << 63 | 0x0F, 0, "Svnapot"),
        (1 << 61 | 0x0F, 0, "Svpbmt"),
    ],
)
def test_reserved_encodings_are_named(bits: int, level: int, why: str) -> None:
    assert why in (Pte(bits).reserved(level) or "")
