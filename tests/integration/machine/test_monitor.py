"""QEMU's monitor."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu.monitor import Monitor, MonitorError, command
from rcdbg.machine.stub.client import StubClient
from tests.support.qemu_account import parse_gva2gpa, parse_info_mem
from tests.unit.machine.processes import SECONDS

from .conftest import ENTRY, BootGuest
from .guests import SPIN, shut_down


def test_commands_are_answered(boot: BootGuest) -> None:
    monitor = boot(SPIN).monitor
    status = monitor.execute("query-status")
    assert isinstance(status, dict)
    assert status["status"] == "prelaunch"
    assert monitor.execute("cont") == {}
    assert monitor.execute("query-status") == {**status, "status": "running", "running": True}
    assert "riscv.virt.ram" in monitor.hmp("info mtree") or "ram" in monitor.hmp("info mtree")


def test_refusals_are_errors_in_qemus_words(boot: BootGuest) -> None:
    monitor = boot(SPIN).monitor
    with pytest.raises(MonitorError, match="QEMU says: The command bogus has not been found"):
        monitor.execute("bogus")
    with pytest.raises(MonitorError, match="QEMU says"):
        monitor.execute("screendump")
    # The human monitor complains in words.
    assert "unknown command" in monitor.hmp("bogus")


def test_an_answer_that_comes_late_is_not_waited_for(boot: BootGuest) -> None:
    monitor = boot(SPIN).monitor
    with pytest.raises(DeadlineError, match="no answer"):
        monitor.execute("query-status", timeout=0)
    assert monitor.execute("query-name") == {}


def test_mappings_of_the_kernel(boot: BootGuest, kernel: Path) -> None:
    with kernel.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbols = table.get_symbol_by_name("rust_main")
    assert symbols
    main = symbols[0]["st_value"]
    machine = boot(kernel)
    with StubClient(machine.gdb_socket) as stub:
        stub.insert_breakpoint(ENTRY)
        stub.insert_breakpoint(main)
        stub.resume()
        assert stub.wait_stop(SECONDS).pc == ENTRY
        assert parse_info_mem(machine.monitor.hmp("info mem")) == []
        stub.resume()
        assert stub.wait_stop(SECONDS).pc == main
        runs = parse_info_mem(machine.monitor.hmp("info mem"))
        assert any(run.va <= main < run.va + run.size for run in runs)
        for run in runs:
            va, pa = run.va + run.size - 0x123, run.pa + run.size - 0x123
            assert parse_gva2gpa(machine.monitor.hmp(f"gva2gpa {va:#x}")) == pa
        assert parse_gva2gpa(machine.monitor.hmp("gva2gpa 0x5000")) is None


def test_events_tell_when(boot: BootGuest) -> None:
    monitor = boot(SPIN).monitor
    before = time.time()
    with monitor.lock:
        monitor.forget()
        monitor.send(command("cont"), command("stop"))
        assert [monitor.answer(), monitor.answer()] == [{}, {}]
        times = monitor.times()
        assert before - 1 < times["RESUME"] <= times["STOP"] < time.time() + 1
        monitor.forget()
        assert monitor.times() == {}


def test_one_that_waits_is_told_of_the_close(boot: BootGuest) -> None:
    machine = boot(SPIN)
    with Monitor(machine.qmp_socket) as monitor, ThreadPoolExecutor(1) as beside:
        monitor.lock.acquire()
        waiting = beside.submit(monitor.answer, SECONDS)
        monitor.close()
        with pytest.raises(MonitorError, match="closed"):
            waiting.result(SECONDS)
        monitor.lock.release()


def test_a_second_monitor_waits_on_the_public_socket(boot: BootGuest) -> None:
    machine = boot(SPIN)
    for _ in range(2):
        with Monitor(machine.qmp_socket) as second:
            assert second.execute("query-name") == machine.monitor.execute("query-name")
    with pytest.raises(MonitorError, match="closed"):
        second.execute("query-name")


def test_qemus_end_is_an_error_and_no_hang(boot: BootGuest, tmp_path: Path) -> None:
    machine = boot(SPIN)
    monitor = machine.monitor
    monitor.execute("query-name")
    os.kill(machine.pid, signal.SIGKILL)
    machine.wait(SECONDS)
    with pytest.raises(MonitorError, match="QEMU has ended"):
        monitor.execute("query-name")
    machine.close()
    with pytest.raises(MonitorError, match="closed"):
        monitor.execute("query-name")
    with pytest.raises(MonitorError):
        Monitor(tmp_path / "none.sock")


def test_the_first_question_may_come_after_the_end(boot: BootGuest) -> None:
    machine = boot(shut_down(0), paused=False)
    assert machine.wait(SECONDS) == 0
    with pytest.raises(MonitorError):
        machine.monitor.execute("query-name")
