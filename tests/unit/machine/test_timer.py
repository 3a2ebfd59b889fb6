"""Where the timer is, by QEMU's account of its machine; and its count, by QEMU's dump."""

import pytest

from rcdbg.errors import MachineError
from rcdbg.machine.qemu import timer

MAP = """address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, i/o): system
    0000000002000000-0000000002003fff (prio 0, i/o): riscv.aclint.swi
    0000000002004000-000000000200bfff (prio 0, i/o): riscv.aclint.mtimer
    0000000080000000-0000000087ffffff (prio 0, ram): ram
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_found_in_the_map(end: str) -> None:
    """QEMU's `virt` has its CLINT at 0x200_0000; mtime is at 0xbff8 in a CLINT."""
    assert timer.mtime_address(lambda _: MAP.replace("\n", end)) == 0x200_BFF8


def test_no_such_device_and_no_monitor() -> None:
    def refuse(_: str) -> str:
        raise MachineError("the stub has no monitor")

    assert timer.mtime_address(refuse) is None
    assert timer.mtime_address(lambda _: MAP.replace("mtimer", "other")) is None
    assert timer.mtime_address(lambda _: "unknown command: 'info mtree'") is None


def test_the_dump() -> None:
    assert timer.parse_dump("000000000200bff8: 0x00000000005a1e09\r\n") == 0x5A1E09
    for text in ("", "Cannot access memory", "000000000200bff8: "):
        assert timer.parse_dump(text) is None
