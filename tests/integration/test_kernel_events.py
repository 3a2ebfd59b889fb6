"""What kernel/README.md says can be traced: the functions exist, with the arguments it names.

At the entry of a function the arguments are where the table says: by DWARF in an optimised kernel,
and by what the kernel then does in any.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.dwarf.locationlists import BaseAddressEntry, LocationEntry, LocationParser
from elftools.elf.elffile import ELFFile

from rcdbg.image.elf import Image
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached, trap
from rcdbg.trace.run import Run
from tests.support.variants import KERNEL

pytestmark = pytest.mark.every_kernel

ROW = re.compile(r"^\| [\w, ]+ \| `([\w:]+)` \| (.+) \|$", re.MULTILINE)


def table() -> dict[str, dict[str, tuple[str, ...]]]:
    """The README's table: registers by parameter by function."""
    text = (KERNEL / "README.md").read_text().split("## What can be traced")[1].split("\n## ")[0]
    return {
        function: {
            name: tuple(re.findall(r"a\d", registers))
            for registers, name in re.findall(r"(a\d(?: and a\d)?) `(\w+)`", words)
        }
        for function, words in ROW.findall(text)
    }


EVENTS = table()


def functions(elf: ELFFile) -> Iterator[tuple[int, DIE]]:
    for unit in elf.get_dwarf_info().iter_CUs():
        for die in unit.iter_DIEs():
            if die.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in die.attributes:
                yield die.attributes["DW_AT_low_pc"].value, die


def name_of(die: DIE) -> str:
    while "DW_AT_name" not in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
    return str(die.attributes["DW_AT_name"].value.decode())


def registers_at_entry(die: DIE, entry: int) -> tuple[str, ...]:
    """The registers of a parameter at the function's entry, if that is what DWARF says of it."""
    attribute = die.attributes.get("DW_AT_location")
    if attribute is None:
        return ()
    unit = die.cu
    base = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    start = 0 if base is None else base.value
    parser = LocationParser(die.dwarfinfo.location_lists())
    found = parser.parse_from_attribute(attribute, unit["version"], die)
    for item in found if isinstance(found, list) else []:
        if isinstance(item, BaseAddressEntry):
            start = item.base_address
        if not isinstance(item, LocationEntry):
            continue
        shift = 0 if item.is_absolute else start
        if item.begin_offset + shift <= entry < item.end_offset + shift:
            steps = DWARFExprParser(unit.structs).parse_expr(item.loc_expr)
            numbers = [re.fullmatch(r"DW_OP_b?reg(\d+)", step.op_name) for step in steps]
            return tuple(ABI_NAMES[int(n[1])] for n in numbers if n)
    return ()


def test_the_table_covers_the_events() -> None:
    assert len(EVENTS) >= 20
    assert EVENTS["Mapping::map"]["initial_data"] == ("a2", "a3")


def test_every_function_is_there_with_its_arguments(rcdbg_kernel: Path, rcdbg_image: Image) -> None:
    with rcdbg_kernel.open("rb") as file:
        known = dict(functions(ELFFile(file)))
        for function, arguments in EVENTS.items():
            address = rcdbg_image.symbols.address_of(function)
            assert address is not None, f"{function} was inlined"
            if function == "__restore":
                continue  # assembly
            parameters = {
                name_of(child): registers_at_entry(child, address)
                for child in known[address].iter_children()
                if child.tag == "DW_TAG_formal_parameter"
            }
            assert parameters.keys() == arguments.keys(), function
            for name, found in parameters.items():
                # On the stack from the prologue on, or a constant: DWARF does not tell.
                assert found in ((), arguments[name]), f"{function}: {name}"


def argument(run: Run, number: int) -> int:
    return run.stub.registers().x[10 + number] & (1 << 64) - 1


def test_frames_and_pages_are_what_the_registers_say(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("processes", "interval=100000")
    run.until(reached("mapping::set_root"))
    run.until(reached("FrameTracker::new", 2))
    frame = argument(run.machine, 0)
    frames = run.state().frames
    assert not any(r.start <= frame < r.end for r in frames.free), "it was taken just now"
    run.until(reached("Processor::add_thread"))
    thread = argument(run.machine, 1)
    run.until(reached("mapping::set_root"))
    root = argument(run.machine, 0)
    run.until(trap("timer"))
    state = run.state()
    assert state.page_table.root_ppn == root
    assert state.processor.current is not None
    assert state.processor.current.address == thread + 16


def test_a_page_is_mapped_where_the_registers_say(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("mapping")
    run.until(reached("scenarios::run"))
    run.until(reached("Mapping::map_one"))
    page, frame, flags = (argument(run.machine, n) for n in (1, 2, 3))
    run.until(reached("Mapping::map_one"))
    (mapped,) = [r for r in run.state().page_table.ranges if r.va == page << 12]
    assert mapped.pa == frame << 12
    assert [mapped.rights[:4][n] != "-" for n in range(4)] == [
        bool(flags >> bit & 1) for bit in (1, 2, 3, 4)
    ]


def test_the_timer_is_set_to_the_time_in_the_register(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("timer", "interval=100000")
    times = []
    for _ in range(4):
        run.until(reached("sbi::set_timer"))
        times.append(argument(run.machine, 0))
        run.until(reached("sbi::sbi_call"))
        assert [argument(run.machine, n) for n in (0, 1, 2)] == [0, 0, times[-1]]
        run.until(trap("timer"))
        time = run.kernel().csr("time")
        assert time is not None
        assert time >= times[-1]
    assert times == sorted(times)


def test_a_freed_frame_is_the_one_in_the_register(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("frames")
    run.until(reached("scenarios::run"))
    run.until(reached("FrameAllocator::dealloc"))
    frame = argument(run.machine, 1)

    def is_free() -> bool:
        return any(r.start <= frame < r.end for r in run.state().frames.free)

    assert not is_free()
    run.until(reached("FrameAllocator::dealloc"))
    assert is_free()
