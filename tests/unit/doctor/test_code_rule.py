"""The rule for the kernel's code: what a debugger puts there is not damage."""

from dataclasses import dataclass, replace

import pytest

from rcdbg.doctor.examine import examine
from rcdbg.doctor.rules.image import code_changed
from rcdbg.doctor.table import CHECKS
from rcdbg.guest.protocol import Ram, Registers, Target
from rcdbg.model.kernel import Kernel
from rcdbg.riscv import code
from tests.unit.doctor.test_trap_rules import snapshot

WFI, NOP = (word.to_bytes(4, "little") for word in (code.WFI, code.NOP))
EBREAK = bytes.fromhex("73001000")


@dataclass(frozen=True)
class Patched:
    """Memory in which some bytes are others."""

    under: Target
    patches: tuple[tuple[int, bytes], ...]

    @property
    def ram(self) -> Ram | None:
        return self.under.ram

    def registers(self) -> Registers:
        return self.under.registers()

    def read_phys(self, address: int, size: int) -> bytes:
        data = bytearray(self.under.read_phys(address, size))
        for at, new in self.patches:
            for place, byte in enumerate(new, at - address):
                if 0 <= place < size:
                    data[place] = byte
        return bytes(data)


def with_code(*patches: tuple[int, bytes]) -> Kernel:
    """The kernel of the snapshot, with other instructions at these distances from .text."""
    kernel, start = snapshot(), text()[0]
    moved = tuple((start + at, new) for at, new in patches)
    return replace(kernel, target=Patched(kernel.target, moved))


def text() -> tuple[int, bytes]:
    """Where .text is in physical memory, and what the ELF has there."""
    image = snapshot().image
    section = image.section(".text")
    assert section is not None
    start, data = image.physical(section.address), image.read(section.address, section.size)
    assert start is not None
    assert data is not None
    return start, data


def said(kernel: Kernel) -> list[str]:
    (check,) = (c for c in CHECKS if c.rule == "image:code_changed")
    assert check.rule.endswith(code_changed.__name__)
    return [f.code for f in examine(kernel).findings if f.code in check.codes]


def test_breakpoints_and_passed_over_waits_are_ours() -> None:
    wait = text()[1].find(WFI)
    assert wait > 0
    assert said(with_code((wait, NOP))) == []
    assert said(with_code((8, EBREAK), (40, EBREAK), (wait, NOP))) == []


@pytest.mark.parametrize("new", [NOP, bytes(4), b"\xff" * 4])
def test_everything_else_is_damage(new: bytes) -> None:
    data = text()[1]
    place = next(at for at in range(64, len(data), 4) if data[at : at + 4] not in (WFI, new))
    assert said(with_code((place, new))) == ["RC0902"]
    assert said(with_code((8, EBREAK), (place, new))) == ["RC0902"]
