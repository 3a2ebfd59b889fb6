"""What was read, whether it changed, and copies of it."""

import pytest

from rcdbg.errors import MemoryReadError
from rcdbg.guest.memory import RamTarget
from rcdbg.guest.paged import PagedTarget
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.guest.recording import CopiedPages, RecordingTarget, copy_pages

BASE, PAGE = 0x8000_0000, 4096
NOW = Registers(0, (0,) * 32, {})


def test_pages_that_were_read() -> None:
    target = RecordingTarget(RamTarget(bytes(8 * PAGE), BASE, lambda: NOW), NOW)
    target.read_phys(BASE + PAGE - 4, 8)
    target.read_phys(BASE + 5 * PAGE, 1)
    first = BASE // PAGE
    assert target.pages == {first, first + 1, first + 5}


def test_copies_say_what_is_missing() -> None:
    memory = bytearray(range(256)) * 64
    target = RamTarget(memory, BASE, lambda: NOW)
    first = BASE // PAGE
    copies = CopiedPages(copy_pages(target, {first, first + 1, 5}), NOW, target.ram)
    memory[:] = bytes(len(memory))
    assert copies.read_phys(BASE + PAGE - 2, 4) == bytes([254, 255, 0, 1])
    assert not copies.missing
    with pytest.raises(MemoryReadError, match="not in RAM"):
        copies.read_phys(BASE - 8, 8)
    assert not copies.missing, "that is no page which could be copied"
    with pytest.raises(MemoryReadError):
        copies.read_phys(BASE + 2 * PAGE - 4, 8)
    assert copies.missing == {first + 2}


def test_pages_are_fetched_once_and_only_from_ram() -> None:
    asked = []

    def read(address: int, size: int) -> bytes:
        asked.append(address)
        return bytes([address // PAGE % 256]) * size

    target = PagedTarget(read, NOW, Ram(BASE, 4 * PAGE))
    assert target.read_phys(BASE + PAGE - 1, 2) == b"\x00\x01"
    assert target.read_phys(BASE + PAGE, 4) == b"\x01" * 4
    assert asked == [BASE, BASE + PAGE]
    for address, size in ((BASE - 1, 1), (BASE + 4 * PAGE - 1, 2), (0x1000_0000, 1), (BASE, -1)):
        with pytest.raises(MemoryReadError):
            target.read_phys(address, size)
    assert len(asked) == 2
