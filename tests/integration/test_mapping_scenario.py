"""The `mapping` scenario: what the kernel prints of its own mappings, against the decoders."""

import re

import pytest

from rcdbg.model.memory import mappings, table_aliases
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.memory.page_table import translate
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import exited, reached
from rcdbg.trace.run import Run

PLACE, ALIAS, PAGE, PAGES = 0x4000_0000, 0x5000_0000, 4096, 3


UNMAP = "os::memory::mapping::mapping::Mapping::unmap"
NO_ROOM = "os::scenarios::mapping::no_room"


def run_to(boot: BootKernel, function: str) -> Run:
    """The scenario stopped at the function, which an optimised kernel may not have any more."""
    run = boot("mapping")
    if run.image.symbols.address_of(function) is None:
        pytest.skip(f"{function} was inlined")
    run.until(reached(function))
    return run.machine


@pytest.fixture
def aliased(rcdbg_boot: BootKernel) -> Run:
    """Stopped where the kernel is about to take its second mapping of a frame away again."""
    return run_to(rcdbg_boot, UNMAP)


def printed(run: Run) -> list[tuple[str, int, int, str]]:
    """The lines `name VA -> PA rights`."""
    run.qemu.settle()
    found = re.findall(r"^(\S+) (0x\w+) -> (0x\w+) (\S+?)\r?$", run.console, re.MULTILINE)
    return [(name, int(va, 16), int(pa, 16), rights) for name, va, pa, rights in found]


def test_what_the_kernel_says_it_mapped(aliased: Run) -> None:
    kernel = aliased.kernel()
    lines = printed(aliased)
    assert {name for name, *_ in lines} >= {".text", ".rodata", ".data", ".bss", "framed", "alias"}
    for name, va, pa, rights in lines:
        found = translate(kernel, va)
        assert found.walk.physical == pa, name
        assert found.walk.leaf is not None
        assert found.walk.leaf.pte.flags[:5] == rights[:5], name
        assert va in {m.va for m in mappings.virtuals(kernel, pa).mappings}


def test_the_alias_with_fewer_rights_is_found(aliased: Run) -> None:
    kernel = aliased.kernel()
    ((_, va, pa, rights),) = [line for line in printed(aliased) if line[0] == "alias"]
    (found,) = [a for a in table_aliases.read_aliases(kernel).aliases if a.different_rights]
    assert (found.pa, found.size, found.count) == (pa, PAGE, 3)
    assert {(m.va, m.rights[:4]) for m in found.mappings} == {
        (va, rights[:4]),
        (PLACE, "rw--"),
        (pa + 0xFFFF_FFFF_0000_0000, "rw--"),
    }


def test_the_alias_is_in_no_segment(aliased: Run) -> None:
    (only,) = read_memory_sets(aliased.kernel()).sets
    (stray,) = only.unexplained
    assert (stray.va, stray.size) == (ALIAS, PAGE)
    assert only.differences == 1
    framed = next(s for s in only.segments if s.start == PLACE)
    assert (framed.end, framed.map_type, framed.rights) == (PLACE + PAGES * PAGE, "Framed", "rw--")


def test_refused_segments_are_not_in_the_books(aliased: Run) -> None:
    refused = re.findall(r"segment (0x\w+)-(0x\w+): refused", aliased.console)
    assert refused, "the scenario asks for one that overlaps"
    (only,) = read_memory_sets(aliased.kernel()).sets
    books = {(s.start, s.end) for s in only.segments}
    assert not books & {(int(start, 16), int(end, 16)) for start, end in refused}


def test_after_the_scenario_nothing_is_left(rcdbg_boot: BootKernel) -> None:
    run = run_to(rcdbg_boot, NO_ROOM)
    (only,) = read_memory_sets(run.kernel()).sets
    assert only.differences == 0
    assert PLACE not in {s.start for s in only.segments}
    removed = re.findall(r"^removed (0x\w+) -> unmapped", run.console, re.MULTILINE)
    assert len(removed) == PAGES
    for va in removed:
        assert translate(run.kernel(), int(va, 16)).walk.physical is None
    run.until(exited(status=0))
