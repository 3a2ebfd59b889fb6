"""Registers, CSRs and the page table against QEMU's own monitor."""

from collections.abc import Iterator

import pytest

from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.riscv import paging, pte
from rcdbg.riscv.csr import SPECS
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.riscv.table_listing import Listing
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached, trap
from rcdbg.trace.run import Run
from tests.support.qemu_account import parse_gva2gpa, parse_info_mem

pytestmark = pytest.mark.every_kernel


@pytest.fixture(params=["handle_interrupt", "rust_main"])
def stopped(request: pytest.FixtureRequest, rcdbg_boot: BootKernel) -> Run:
    """A kernel stopped with its own page table, or still with the boot page table."""
    run = rcdbg_boot("preempt", "interval=20000")
    run.until(reached(request.param))
    return run.machine


@pytest.fixture
def monitor(stopped: Run) -> Iterator[Monitor]:
    with Monitor(stopped.qemu.qmp_socket) as monitor:
        yield monitor


def test_registers(stopped: Run, monitor: Monitor) -> None:
    state, qemu = stopped.state(), parse_info_registers(monitor.hmp("info registers"))
    assert state.hart.pc.address == qemu["pc"]
    assert dict(zip(ABI_NAMES, state.hart.x, strict=True)) == {n: qemu[n] for n in ABI_NAMES}
    for name in ("satp", "stvec", "sepc", "scause", "stval", "sscratch"):
        decoded = state.hart.csr(name)
        assert decoded is not None
        assert decoded.value == qemu[name], name
    sstatus = state.hart.csr("sstatus")
    assert sstatus is not None
    visible = sum(((1 << f.width) - 1) << f.low for f in SPECS["sstatus"].fields)
    assert sstatus.value == qemu["mstatus"] & visible


def test_page_table(stopped: Run, monitor: Monitor) -> None:
    """Every byte that QEMU says is mapped is listed with the same frame and flags; no other."""
    kernel = stopped.kernel()
    listed: list[tuple[int, int, int, str]] = []
    found = Listing(kernel.target.read_phys, kernel.memory.satp)
    for run in found:
        flags = pte.flags_text(run.bits)
        previous = listed[-1] if listed else None
        if (
            previous
            and previous[0] + previous[2] == run.va
            and previous[1] + previous[2] == run.pa
            and previous[3] == flags
        ):
            listed[-1] = (previous[0], previous[1], previous[2] + run.size, flags)
        else:
            listed.append((run.va, run.pa, run.size, flags))
    assert not found.bad
    theirs = [(m.va, m.pa, m.size, m.attributes) for m in parse_info_mem(monitor.hmp("info mem"))]
    assert listed == theirs


def test_walk(stopped: Run, monitor: Monitor) -> None:
    state = stopped.state()
    kernel = stopped.kernel()
    addresses = {0, 0x1000, state.hart.x[2]}
    for found in state.page_table.ranges:
        addresses |= {found.va, found.va + found.size - 1, found.va + found.size, found.va - 1}
    for va in sorted(a & (1 << 64) - 1 for a in addresses):
        walk = paging.walk(kernel.target.read_phys, kernel.memory.satp, va)
        assert walk.physical == parse_gva2gpa(monitor.hmp(f"gva2gpa {va:#x}")), hex(va)


def test_memory_read_through_the_table_is_what_the_stub_reads(stopped: Run) -> None:
    kernel = stopped.kernel()
    for address in (kernel.registers.sp & ~7, kernel.registers.pc):
        assert kernel.memory.read(address, 256) == stopped.stub.read_memory(address, 256)


def test_the_trap_context_is_where_a0_points(rcdbg_boot: BootKernel) -> None:
    """handle_interrupt's first argument is the Context: found without it, by the stack."""
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(3):
        kernel = run.until(trap("timer"))
        assert kernel is not None
        context = run.state().trap.context
        assert context is not None
        assert context.address == kernel.registers.x[10]
        assert context.sepc.address == kernel.csr("sepc")
