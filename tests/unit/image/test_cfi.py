"""Call frame information made by hand, and damaged; the integration tests have the kernel's."""

import io
import struct

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.image.dwarf.cfi import CallFrames
from rcdbg.image.dwarf.cfi_program import How, RegisterRule
from rcdbg.image.dwarf.forms import DwarfError
from tests.unit.image.build import Elf, Section

START = 0xFFFF_FFFF_8020_0000


def entry(body: bytes) -> bytes:
    body += bytes(-(len(body) + 4) % 8)
    return struct.pack("<I", len(body)) + body


def section(instructions: bytes, augmentation: bytes = b"", column: int = 1) -> bytes:
    """One CIE (CFA = sp at first) and one FDE of 64 bytes of code."""
    length = b"\0" if augmentation else b""
    head = struct.pack("<IB", 0xFFFF_FFFF, 3) + augmentation + b"\0" + b"\x01\x78"
    cie = entry(head + bytes([column]) + length + b"\x0c\x02\x00")
    fde = entry(struct.pack("<IQQ", 0, START, 64) + length + instructions)
    return cie + fde


def test_rules_from_row_to_row() -> None:
    # advance 2; CFA = sp + 32; advance 2; ra at CFA - 8; remember; advance 4; ra restored;
    # advance 4; restore state; same value s0; undefined ra.
    code = b"\x42\x0e\x20\x42\x81\x01\x0a\x44\xc1\x44\x0b\x08\x08\x44\x07\x01"
    frames = CallFrames(section(code))
    rows = [(frames.at(START + n)) for n in (0, 2, 4, 8, 12, 16, 63)]
    seen = [(row.cfa_offset, dict(row.rules)) for row in rows if row is not None]
    ra = {1: RegisterRule(How.AT_CFA, -8)}
    same = {8: RegisterRule(How.SAME)}
    assert seen == [
        (0, {}),
        (32, {}),
        (32, ra),
        (32, {}),
        (32, ra | same),
        (32, {1: RegisterRule(How.UNDEFINED)} | same),
        (32, {1: RegisterRule(How.UNDEFINED)} | same),
    ]
    assert frames.at(START - 1) is None
    assert frames.at(START + 64) is None


def test_a_signal_frame_with_its_return_address_in_a_csr() -> None:
    frames = CallFrames(section(b"\x09\x40\xc1\x22", b"zS", 64))
    row = frames.at(START)
    assert row is not None
    assert row.is_signal
    assert row.return_column == 64
    assert row.rules == {64: RegisterRule(How.REGISTER, 4096 + 0x141)}


@pytest.mark.parametrize(
    "data",
    [
        section(b"")[:-3],
        section(b"", b"mad"),
        section(b"").replace(b"\xff\xff\xff\xff\x03", b"\xff\xff\xff\xff\x09"),
        entry(struct.pack("<IQQ", 0x40, START, 64)),
    ],
)
def test_what_cannot_be(data: bytes) -> None:
    with pytest.raises(DwarfError):
        CallFrames(data)


@pytest.mark.parametrize("code", [b"\x3f", b"\x0b", b"\x0a" * 100, b"\x16\x01\x7f"])
def test_instructions_that_cannot_be(code: bytes) -> None:
    with pytest.raises(DwarfError):
        CallFrames(section(code)).at(START + 8)


@given(st.data())
def test_damage_raises_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(section(b"\x42\x0e\x20\x42\x81\x01\x0a\x44\xc1\x44\x0b", b"zS"))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        frames = CallFrames(bytes(raw))
        for offset in range(0, 64, 2):
            frames.at(START + offset)
    except DwarfError:
        pass


EH_AT = 0x8020_4000
FORMS = {0x1B: "<i", 0x1C: "<q", 0x00: "<Q", 0x04: "<Q", 0x0B: "<i", 0x12: "<H"}


def eh_section(encoding: int, code: int, augmentation: bytes = b"zR", data: bytes = b"") -> bytes:
    """The same as `section` in .eh_frame at EH_AT, for 64 bytes at `code`, and its end mark."""
    said = data or bytes([encoding])
    head = struct.pack("<IB", 0, 1) + augmentation + b"\0" + b"\x01\x78\x01"
    cie = entry(head + bytes([len(said)]) + said + b"\x0c\x02\x00")
    form = FORMS[encoding]
    here = EH_AT + len(cie) + 8
    start = struct.pack(form, code - here if encoding & 0x70 == 0x10 else code)
    fde = entry(
        struct.pack("<I", len(cie) + 4)
        + start
        + struct.pack(form, 64)
        + b"\0\x42\x0e\x20\x42\x81\x01"
    )
    return cie + fde + bytes(4)


@pytest.mark.parametrize(
    ("encoding", "code"),
    [(0x1B, 0x8020_0000), (0x1B, 0x8020_8000), (0x1C, 0x9_0000_0000), (0x00, START), (0x04, START),
     (0x0B, 0x4000_0000), (0x12, EH_AT + 0x400)],
)  # fmt: skip
def test_eh_frame_as_pyelftools_reads_it(encoding: int, code: int) -> None:
    raw = eh_section(encoding, code)
    elf = Elf(loads=[(EH_AT, EH_AT, raw, len(raw), 4)], sections=[
        Section(".eh_frame", raw, EH_AT, "a")
    ])  # fmt: skip
    dwarf = ELFFile(io.BytesIO(elf.bytes())).get_dwarf_info()
    (theirs,) = [one for one in dwarf.EH_CFI_entries() if isinstance(one, FDE)]
    start, size = theirs.header["initial_location"], theirs.header["address_range"]
    frames = CallFrames(b"", raw, EH_AT)
    assert list(frames.ranges()) == [(start, size)] == [(code, 64)]
    for row in theirs.get_decoded().table:
        mine = frames.at(row["pc"])
        assert mine is not None
        assert (mine.cfa_register, mine.cfa_offset) == (row["cfa"].reg, row["cfa"].offset)
        offsets = {reg: rule.arg for reg, rule in row.items() if isinstance(reg, int)}
        assert {reg: rule.number for reg, rule in mine.rules.items()} == offsets


def test_a_personality_in_the_way_and_debug_frame_first() -> None:
    personality = b"\x9b\x10\x20\x30\x40"
    raw = eh_section(0x1B, 0x8020_0000, b"zPLR", personality + b"\x1b\x1b")
    assert list(CallFrames(b"", raw, EH_AT).ranges()) == [(0x8020_0000, 64)]
    both = CallFrames(section(b""), eh_section(0x00, START), EH_AT)
    row = both.at(START + 32)
    assert row is not None
    assert row.cfa_offset == 0, "the rows of .debug_frame, which has none of .eh_frame's"


@given(st.data())
def test_damaged_eh_frame_raises_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(eh_section(0x1B, 0x8020_0000))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        frames = CallFrames(b"", bytes(raw), EH_AT)
        for offset in range(0, 64, 2):
            frames.at(0x8020_0000 + offset)
    except DwarfError:
        pass
