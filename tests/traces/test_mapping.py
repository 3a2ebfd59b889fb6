"""Mapping: what is mapped can be used at once, what is unmapped cannot be used any more."""

import re

import pytest

from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.testing import BootKernel, Story, exited, frame_free, hit, mapped, reached, unmapped
from tests.traces.words import SOON, is_mapped

pytestmark = pytest.mark.every_kernel

PLACE = 0x4000_0000
"""Where the scenario maps three pages of its own, by kernel/README.md and its console."""

ALIAS = 0x5000_0000
"""Where it maps the first of them a second time, for a while."""

PAGES = 3

LOAD = 0x0003_3283
"""`ld t0, 0(t1)` (RISC-V unprivileged spec, 5.2 and the listing of opcodes)."""


def can_load(run: Story, address: int) -> bool:
    """Whether a load from there succeeds on the hart as it stands, by making it; nothing changes.

    What is asked is the hart, with whatever its TLB remembers, not the page table.
    """
    pc = run.registers["pc"]
    kept = {name: run.registers[name] for name in ("pc", *ABI_NAMES[1:], "sepc", "scause", "stval")}
    kept["sstatus"] = run.registers["sstatus"]
    code = run.memory.read(pc, 4)
    run.memory.write(pc, LOAD.to_bytes(4, "little"))
    run.registers["t1"] = address
    run.machine.stub.step()
    loaded = run.registers["pc"] == pc + 4
    run.memory.write(pc, code)
    for name, value in kept.items():
        run.registers[name] = value
    return loaded


def test_pages_are_where_they_were_asked_to_be(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("mapping")
    run.until(hit("scenarios::run"), ticks=SOON)
    pages = []
    for number in range(PAGES):
        page = run.until(mapped(va=PLACE + number * 4096), ticks=SOON)
        assert page.fields["flags"][:5] == "rw---", f"asked for with {page.fields['flags']}"
        pages.append(page)
    run.until(unmapped(), ticks=SOON)
    memory = run.kernel().memory
    for page in pages:
        va, pa = page.fields["va"], page.fields["pa"]
        assert memory.physical(va) == pa, f"{va:#x} leads to {memory.physical(va):#x}, not {pa:#x}"
        assert can_load(run, va), f"{va:#x} is mapped, and a load from there faults"


def test_an_entry_that_is_unmapped_is_not_valid_any_more(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("mapping")
    run.until(hit("scenarios::run"), ticks=SOON)
    run.until(unmapped(), ticks=SOON)
    assert is_mapped(run.state(), ALIAS), "the event is the call"
    run.until(hit("sbi::console_putchar"), ticks=SOON)
    assert not is_mapped(run.state(), ALIAS), (
        f"{ALIAS:#x} is still mapped after it was unmapped: its entry is valid"
    )


def test_what_is_unmapped_cannot_be_used_any_more(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("mapping")
    run.until(hit("scenarios::run"), ticks=SOON)
    run.until(unmapped(), ticks=SOON)  # a second address of the first frame
    run.until(unmapped(), ticks=SOON)  # the segment
    assert can_load(run, PLACE), "until now it can be read"
    run.until(frame_free(), ticks=SOON)
    for address in range(PLACE, PLACE + PAGES * 4096, 4096):
        assert not is_mapped(run.state(), address), (
            f"{address:#x} is still mapped after it was unmapped, and its frame is given back"
        )
        assert not can_load(run, address), (
            f"{address:#x} could be read after it was unmapped: a stale translation, for want of"
            " sfence.vma before its frame is given back"
        )


def test_the_kernel_and_the_walk_agree_where_things_are(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("mapping")
    run.until(reached("scenarios::shutdown"), ticks=SOON)
    state, kernel = run.state(), run.kernel()
    said = re.findall(
        r"^\.?\w+ (0x[0-9a-f]{16}) -> (0x[0-9a-f]+) ([rwxugad-]{7})\r?$", run.console, re.MULTILINE
    )
    assert len(said) >= 4
    for va, pa, flags in said:
        (found,) = [r for r in state.page_table.ranges if r.va <= int(va, 16) < r.va + r.size]
        assert kernel.memory.physical(int(va, 16)) == int(pa, 16)
        assert found.rights == flags[:5]
    gone = re.findall(r"^removed (0x[0-9a-f]+) -> unmapped\r?$", run.console, re.MULTILINE)
    assert len(gone) == PAGES
    for va in gone:
        assert not is_mapped(state, int(va, 16))
    run.until(exited(status=0), ticks=SOON)
