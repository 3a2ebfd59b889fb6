"""Paging: off, then the boot table, then the kernel's own with just the rights it needs."""

import pytest

from rcdbg.testing import BootKernel, hit, reached, satp, switch, thread_add
from tests.traces.words import SOON, UNDISTURBED, is_mapped, running, stack_of

pytestmark = pytest.mark.every_kernel

RIGHTS = {".text": "r-x--", ".rodata": "r----", ".data": "rw---", ".bss": "rw---"}


def test_the_boot_table_maps_gigabytes(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    assert "bare" in run.state().page_table.note
    run.until(satp(), ticks=SOON)
    run.until(reached("rust_main"), ticks=SOON)
    table = run.state().page_table
    assert {r.page_size for r in table.ranges} == {1 << 30}
    assert "rwx--" in {r.rights for r in table.ranges}, "one for all sections"


def test_satp_names_the_table_that_was_asked_for(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    call = run.until(hit("set_root"), ticks=SOON)
    change = run.until(satp(), ticks=SOON)
    mode, root = change.fields["mode"], change.fields["root_ppn"]
    assert mode == "Sv39", f"satp.mode is {mode}, not Sv39: the table has three levels"
    asked = call.fields["arguments"]["root_ppn"]
    assert root == asked, (
        f"satp names the root table {root:#x}, but activate was asked for {asked:#x}"
    )


def test_each_section_has_just_the_rights_it_needs(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    run.until(satp(), ticks=SOON)
    run.until(satp(), ticks=SOON)
    table = run.state().page_table
    found = {s: r.rights for r in table.ranges if r.section for s in r.section.split()}
    for section, rights in RIGHTS.items():
        has = found.get(section)
        assert has == rights, f"{section} is mapped {has}, not {rights}"
    both = [f"{r.va:#x}" for r in table.ranges if "w" in r.rights and "x" in r.rights]
    assert not both, f"writable and executable: {', '.join(both)}"
    entry = run.image.physical(run.image.entry)
    assert entry is not None
    assert not is_mapped(run.state(), entry), "the identity map of the boot code is gone"


def test_below_each_stack_there_is_a_page_that_is_not_mapped(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=3 {UNDISTURBED}")
    # In host time, too: where no instruction can be fetched, the guest's time stands still.
    run.until(hit("scenarios::run"), 20, ticks=SOON)
    stacks = {e.fields["id"]: e.fields["stack"] for e in run.collect(thread_add(), count=3)}
    run.until(switch(), ticks=SOON)
    state = run.state()
    for thread, (start, end) in stacks.items():
        assert is_mapped(state, start), f"the stack of thread {thread} is mapped"
        assert is_mapped(state, end - 1), f"the stack of thread {thread} is mapped to its end"
        assert not is_mapped(state, start - 1), (
            f"the page below the stack of thread {thread} is mapped: an overflow would go unnoticed"
        )
    first = running(state)
    assert stack_of(first).start == stacks[first.id][0]
