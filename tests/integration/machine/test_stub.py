"""QEMU's own stub, driven directly."""

import os
import signal
from pathlib import Path

import pytest

from rcdbg.errors import MemoryReadError
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.machine.stub import wire
from rcdbg.machine.stub.client import StubClient
from rcdbg.machine.stub.dialect import STEP_ALONE, STEP_WITH_INTERRUPTS
from rcdbg.machine.stub.wire import StubError
from rcdbg.riscv.csr import SUPERVISOR_CSRS
from tests.unit.machine.processes import SECONDS

from .conftest import ENTRY, BootGuest
from .guests import COUNT, SPIN, WAIT, shut_down

A0 = 10


def test_registers_are_those_of_the_monitor(boot: BootGuest, kernel: Path) -> None:
    machine = boot(kernel)
    with StubClient(machine.gdb_socket) as stub:
        stub.insert_breakpoint(ENTRY)
        stub.resume()
        assert stub.wait_stop(SECONDS).reason == "breakpoint"
        registers = stub.registers()
        truth = parse_info_registers(machine.monitor.hmp("info registers"))
    assert registers.pc == truth["pc"] == ENTRY
    assert registers.x == tuple(truth[f"x{number}"] for number in range(32))
    assert set(registers.csrs) == set(SUPERVISOR_CSRS)
    for name in set(SUPERVISOR_CSRS) & set(truth):
        assert registers.csrs[name] == truth[name]
    # S-mode's views of the machine's registers, where the monitor has only the latter.
    assert registers.csrs["sie"] == truth["mie"] & truth["mideleg"]
    assert registers.csrs["sstatus"] & (1 << 8) == truth["mstatus"] & (1 << 8)
    assert registers.privilege == 1


def test_each_hit_of_a_breakpoint_is_one_round(boot: BootGuest) -> None:
    machine = boot(COUNT)
    with StubClient(machine.gdb_socket) as stub:
        number = stub.insert_breakpoint(ENTRY)
        stub.resume()
        stub.wait_stop(SECONDS)
        first = stub.registers().x[A0]
        for rounds in range(1, 50):
            stub.resume()
            stop = stub.wait_stop(SECONDS)
            assert (stop.reason, stop.pc, stop.breakpoint) == ("breakpoint", ENTRY, number)
            assert stub.registers().x[A0] == first + rounds


def test_steps_execute_one_instruction_each(boot: BootGuest) -> None:
    machine = boot(COUNT)
    with StubClient(machine.gdb_socket) as stub:
        stub.insert_breakpoint(ENTRY)
        stub.resume()
        stub.wait_stop(SECONDS)
        for expected in (ENTRY + 4, ENTRY, ENTRY + 4):
            stop = stub.step()
            assert (stop.reason, stop.pc) == ("step", expected)


def test_a_breakpoint_on_wfi_does_not_hold_the_guest(boot: BootGuest) -> None:
    machine = boot(WAIT)
    with StubClient(machine.gdb_socket) as stub:
        stub.insert_breakpoint(ENTRY)
        stub.resume()
        stub.wait_stop(SECONDS)
        stub.resume()
        stub.interrupt()
        stop = stub.wait_stop(SECONDS)
        assert (stop.reason, stop.pc) == ("interrupt", ENTRY + 4)


def test_a_running_guest_is_stopped_on_request(boot: BootGuest) -> None:
    machine = boot(SPIN)
    with StubClient(machine.gdb_socket) as stub:
        stub.resume()
        machine.console.wait_for("MEDELEG", SECONDS)
        with pytest.raises(DeadlineError):
            stub.wait_stop(0.01)
        stub.interrupt()
        assert stub.wait_stop(SECONDS).reason == "interrupt"


def test_attaching_stops_a_running_guest(boot: BootGuest) -> None:
    machine = boot(COUNT, paused=False)
    machine.console.wait_for("MEDELEG", SECONDS)
    for _ in range(3):
        with StubClient(machine.gdb_socket) as stub:
            before = stub.registers()
            assert stub.registers() == before
            stub.insert_breakpoint(ENTRY)
            stub.resume()
            assert stub.wait_stop(SECONDS).pc == ENTRY


def test_two_harts(boot: BootGuest) -> None:
    with StubClient(boot(COUNT, smp="2").gdb_socket) as stub:
        stub.insert_breakpoint(ENTRY)
        for _ in range(3):
            stub.resume()
            assert stub.wait_stop(SECONDS).pc == ENTRY
            assert stub.registers().pc == ENTRY
        assert stub.step().pc == ENTRY + 4


def test_registers_can_be_written(boot: BootGuest) -> None:
    with StubClient(boot(SPIN).gdb_socket) as stub:
        stub.write_register("pc", ENTRY)
        stub.write_register("sscratch", 0xFEED << 48)
        assert stub.registers().pc == ENTRY
        assert stub.registers().csrs["sscratch"] == 0xFEED << 48
        with pytest.raises(StubError, match="no register 'eax'"):
            stub.write_register("eax", 0)


def test_devices_are_read_physically_and_holes_not_virtually(boot: BootGuest) -> None:
    with StubClient(boot(SPIN).gdb_socket) as stub:
        # The virtio transports' magic value, "virt".
        assert stub.read_phys(0x1000_1000, 4) == b"virt"
        with pytest.raises(MemoryReadError):
            stub.read_memory(0, 8)


def test_the_step_mode_is_taken(boot: BootGuest) -> None:
    with StubClient(boot(SPIN).gdb_socket) as stub:
        stub.run.set_step_mode(STEP_WITH_INTERRUPTS)
        stub.run.set_step_mode(STEP_ALONE)
        with pytest.raises(StubError, match="refuses"):
            stub.run.set_step_mode(0x80)


def test_the_guests_own_end(boot: BootGuest) -> None:
    machine = boot(shut_down(3))
    with StubClient(machine.gdb_socket) as stub:
        stub.resume()
        assert stub.wait_stop(SECONDS).reason == "exited"
        assert machine.wait(SECONDS) == 3
        with pytest.raises(StubError):
            stub.registers()


def test_qemu_killed_while_running_and_while_standing(boot: BootGuest) -> None:
    running, standing = boot(SPIN), boot(SPIN)
    with StubClient(running.gdb_socket) as stub:
        stub.resume()
        os.kill(running.pid, signal.SIGKILL)
        assert stub.wait_stop(SECONDS).reason == "exited"
        assert running.wait(SECONDS) == -signal.SIGKILL
    with StubClient(standing.gdb_socket) as stub:
        os.kill(standing.pid, signal.SIGKILL)
        assert standing.wait(SECONDS) == -signal.SIGKILL
        with pytest.raises(StubError):
            stub.registers()


def test_a_second_debugger_is_told_why_it_waits(
    boot: BootGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = boot(SPIN)
    with StubClient(machine.gdb_socket):
        monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.2)
        with pytest.raises(StubError, match="is another debugger connected"):
            StubClient(machine.gdb_socket)
