"""Registers and the clock, without a stop and by every way."""

import struct

import pytest

from rcdbg.guest.snapshot import Snapshot
from rcdbg.guest.snapshot_writer import pack
from rcdbg.machine.qemu import live
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.subjects.table import subject
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Run, machine_of
from tests.support.in_gdb import TIMEOUT

pytestmark = pytest.mark.every_kernel


def test_the_monitors_registers_are_those_of_the_stub(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(8):
        run.until(trap())
        with Monitor(run.machine.qemu.quick_socket) as monitor:
            by_stub = run.machine.target.registers()
            by_monitor = live.registers(monitor, run.machine.stub.clock.address)
        assert (by_monitor.pc, by_monitor.x) == (by_stub.pc, by_stub.x)
        assert len(by_monitor.csrs) >= 10
        assert "time" in by_monitor.csrs
        for name, value in by_monitor.csrs.items():
            assert value == by_stub.csrs[name], name


def test_time_is_what_the_hart_itself_reads(rcdbg_boot: BootKernel) -> None:
    """Witness: the instruction `rdtime`, of which the kernel arms its timer."""
    run = rcdbg_boot("preempt", "interval=20000")
    places = reads_of_time(run.machine)
    for address in places:
        run.machine.stub.insert_breakpoint(address)
    read = 0
    for _ in range(4):
        run.machine.stub.resume()
        stop = run.machine.stub.wait_stop(TIMEOUT)
        assert stop.pc in places
        before = run.machine.target.registers()
        run.machine.stub.step()
        after = run.machine.target.registers()
        value = after.x[places[stop.pc]]
        assert 0 < before.csrs["time"] <= value <= after.csrs["time"]
        assert value > read
        read = value
    # By every other way, of the same moment: the clock stands while the guest does.
    now = run.machine.target.registers().csrs["time"]
    assert (
        Snapshot(
            pack(machine_of(run.machine), run.machine.target.read_phys), "file"
        ).registers.csrs["time"]
        == now
    )
    kernel = run.kernel()
    assert kernel.csr("time") == now
    assert subject("csr").answer(kernel).document["csrs"]["time"]["value"] == hex(now)


def reads_of_time(run: Run) -> dict[int, int]:
    """Where the kernel has `rdtime rd` (unprivileged spec, Zicntr), and the number of rd."""
    text = next(s for s in run.image.sections if s.name == ".text")
    code = run.kernel().memory.read(text.address, text.size)
    found = {}
    for at in range(0, len(code) - 3, 2):
        (word,) = struct.unpack_from("<I", code, at)
        if word & 0xFFFFF07F == 0xC0102073:
            found[text.address + at] = word >> 7 & 31
    assert found, "the kernel reads no time"
    return found
