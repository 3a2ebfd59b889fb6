"""Call frame information made by hand, and damaged; the integration tests have the kernel's."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.image.dwarf.cfi import CallFrames
from rcdbg.image.dwarf.cfi_program import How, RegisterRule
from rcdbg.image.dwarf.forms import DwarfError

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
