"""Both gdbs, connected to QEMU."""

import os
import signal
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from rcdbg.errors import MemoryReadError
from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.mi import GdbError
from rcdbg.machine.gdb.program import find_gdb
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.machine.stub.dialect import (
    ASK_STEP_MODE,
    STEP_ALONE,
    STEP_WITH_INTERRUPTS,
    set_step_mode,
)
from tests.unit.machine.processes import SECONDS

from .conftest import ENTRY, BootGuest
from .guests import COUNT, SPIN, STORE, STORED_AT, shut_down

A0 = 10


def test_some_gdb_is_found(gdb_path: str) -> None:
    assert find_gdb(gdb_path) == gdb_path
    assert Path(find_gdb()).exists()


def test_source_level_work_on_the_kernel(boot: BootGuest, gdb: Gdb, kernel: Path) -> None:
    machine = boot(kernel)
    assert gdb.connect(machine, kernel).reason == "interrupt"
    number = gdb.insert_breakpoint("rust_main")
    gdb.resume()
    stop = gdb.wait_stop(SECONDS)
    assert (stop.reason, stop.breakpoint) == ("breakpoint", number)

    frame = gdb.data.frames()[0]
    assert frame.pc == stop.pc
    assert frame.function is not None
    assert frame.function.endswith("rust_main")
    assert frame.file is not None
    assert frame.file.name == "main.rs"

    instructions = gdb.data.disassemble(frame.pc, 8)
    assert len(instructions) == 8
    assert instructions[0].address == frame.pc
    assert instructions[0].line == frame.line
    for before, after in pairwise(instructions):
        assert before.address + len(before.opcodes) == after.address
    memory = gdb.data.read_memory(frame.pc, len(instructions[0].opcodes))
    assert memory == instructions[0].opcodes

    gdb.step("over_line")
    assert gdb.wait_stop(SECONDS).reason == "step"
    moved = gdb.data.frames(1)[0]
    assert moved.line != frame.line
    assert moved.function == frame.function
    depth = len(gdb.data.frames())
    gdb.step("line")
    assert gdb.wait_stop(SECONDS).reason == "step"
    assert len(gdb.data.frames()) == depth + 1
    gdb.step("out")
    assert gdb.wait_stop(SECONDS).reason == "step"
    assert gdb.data.frames()[0].function == frame.function
    gdb.step("over_call")
    assert gdb.wait_stop(SECONDS).reason == "step"
    assert "rust_main" in gdb.console_command("bt")
    assert gdb.data.evaluate("1 + 1") == "2"


def test_registers_are_those_of_the_monitor(boot: BootGuest, gdb: Gdb, kernel: Path) -> None:
    machine = boot(kernel)
    gdb.connect(machine, kernel)
    gdb.insert_breakpoint("rust_main")
    gdb.resume()
    gdb.wait_stop(SECONDS)
    registers = gdb.registers()
    truth = parse_info_registers(machine.monitor.hmp("info registers"))
    assert registers.pc == truth["pc"]
    assert registers.x == tuple(truth[f"x{number}"] for number in range(32))
    # With paging on its top bit is set: gdb holds it as a negative number.
    assert registers.csrs["satp"] == truth["satp"] >= 1 << 63
    assert registers.csrs["stvec"] == truth["stvec"]
    assert registers.privilege == 1


def test_each_hit_of_a_breakpoint_is_one_round(boot: BootGuest, gdb: Gdb) -> None:
    gdb.connect(boot(COUNT))
    number = gdb.insert_breakpoint(ENTRY)
    gdb.resume()
    gdb.wait_stop(SECONDS)
    first = gdb.registers().x[A0]
    for rounds in range(1, 10):
        gdb.resume()
        stop = gdb.wait_stop(SECONDS)
        assert (stop.reason, stop.pc, stop.breakpoint) == ("breakpoint", ENTRY, number)
        assert gdb.registers().x[A0] == first + rounds
    gdb.step("instruction")
    stop = gdb.wait_stop(SECONDS)
    assert (stop.reason, stop.pc) == ("step", ENTRY + 4)


def test_breakpoints_are_listed_and_taken_out(boot: BootGuest, gdb: Gdb) -> None:
    gdb.connect(boot(COUNT))
    first = gdb.insert_breakpoint(ENTRY + 4, condition="$a0 > 5")
    second = gdb.insert_breakpoint("*0x80200000", temporary=True)
    gdb.resume()
    assert gdb.wait_stop(SECONDS).breakpoint == second
    gdb.resume()
    assert gdb.wait_stop(SECONDS).breakpoint == first
    assert gdb.registers().x[A0] > 5
    (left,) = gdb.breakpoints()
    assert (left.number, left.address, left.enabled) == (first, ENTRY + 4, True)
    assert left.hits >= 1
    gdb.remove_breakpoint(first)
    assert gdb.breakpoints() == []
    with pytest.raises(GdbError, match="no breakpoint 99"):
        gdb.remove_breakpoint(99)
    with pytest.raises(GdbError, match="No symbol table"):
        gdb.insert_breakpoint("nowhere")


def test_a_watchpoint_is_a_breakpoint_that_was_hit(boot: BootGuest, gdb: Gdb) -> None:
    gdb.connect(boot(STORE))
    gdb.console_command(f"watch *(int *){STORED_AT:#x}")
    (watchpoint,) = gdb.breakpoints()
    gdb.resume()
    stop = gdb.wait_stop(SECONDS)
    assert (stop.reason, stop.breakpoint) == ("breakpoint", watchpoint.number)
    assert gdb.data.read_memory(STORED_AT, 4) == b"\1\0\0\0"


def test_a_running_guest_is_stopped_on_request(boot: BootGuest, gdb: Gdb) -> None:
    machine = boot(SPIN)
    # By path, as for a machine that another has started.
    gdb.connect(machine.gdb_socket)
    gdb.resume()
    machine.console.wait_for("MEDELEG", SECONDS)
    with pytest.raises(DeadlineError):
        gdb.wait_stop(0.01)
    read, step = lambda: gdb.data.read_memory(ENTRY, 4), lambda: gdb.step("line")
    for question in (gdb.registers, gdb.resume, step, read):
        with pytest.raises(GdbError, match="running"):
            question()
    assert gdb.running
    gdb.interrupt()
    assert gdb.wait_stop(SECONDS).reason == "interrupt"
    gdb.interrupt()
    assert gdb.data.read_memory(ENTRY, 4) == SPIN[0].to_bytes(4, "little")


@pytest.mark.parametrize("command", ["continue", "python gdb.execute('continue')"])
def test_a_console_command_that_runs_the_guest_is_interrupted(
    boot: BootGuest, gdb: Gdb, command: str
) -> None:
    gdb.connect(boot(SPIN))
    going = threading.Event()
    gdb.subscribe(lambda record: going.set() if record.message == "running" else None)
    # Each time as early as can be, when gdb has not told QEMU yet.
    for _ in range(10):
        going.clear()
        output: list[str] = []
        typist = threading.Thread(
            target=lambda output=output: output.append(gdb.console_command(command, SECONDS))
        )
        typist.start()
        assert going.wait(SECONDS)
        gdb.interrupt()
        assert gdb.wait_stop(SECONDS).reason == "interrupt"
        typist.join(SECONDS)
        assert "SIGINT" in output[0]
    assert gdb.console_command("print 42") == "$1 = 42\n"


def test_a_console_command_that_was_given_up_can_still_be_interrupted(
    boot: BootGuest, gdb: Gdb
) -> None:
    gdb.connect(boot(SPIN))
    with pytest.raises(DeadlineError, match="'continue'"):
        gdb.console_command("continue", timeout=0.1)
    assert gdb.running
    gdb.interrupt()
    assert gdb.wait_stop(SECONDS).reason == "interrupt"
    assert gdb.console_command("print 42").endswith("$1 = 42\n")


def test_a_console_command_that_runs_nothing_is_broken_off(boot: BootGuest, gdb: Gdb) -> None:
    gdb.connect(boot(SPIN))
    begun = threading.Event()
    gdb.subscribe(lambda record: begun.set() if record.payload == "begun\n" else None)
    errors: list[GdbError] = []

    def type_it() -> None:
        try:
            gdb.console_command("python print('begun'); import time; time.sleep(1000)", SECONDS)
        except GdbError as error:
            errors.append(error)

    typist = threading.Thread(target=type_it)
    typist.start()
    assert begun.wait(SECONDS)
    gdb.interrupt()
    typist.join(SECONDS)
    assert len(errors) == 1
    assert gdb.console_command("print 42") == "$1 = 42\n"


def test_console_output_is_all_there(boot: BootGuest, gdb: Gdb, tmp_path: Path) -> None:
    gdb.connect(boot(COUNT))
    # A command that runs the guest goes on printing after gdb has reported `^running`.
    text = gdb.console_command("python gdb.execute('stepi'); print('│ after')")
    assert text.endswith("│ after\n")
    with pytest.raises(GdbError, match='Undefined command: "bogus"'):
        gdb.console_command("bogus")
    directory = tmp_path / "with a space"
    directory.mkdir()
    script = directory / "script.gdb"
    script.write_text("define twice\necho $arg0 $arg0\\n\nend\ntwice 7\n")
    assert gdb.source_commands(script) == "7 7\n"
    assert gdb.console_command("twice 8") == "8 8\n"


def test_a_kernel_in_a_directory_with_a_space(
    boot: BootGuest, gdb: Gdb, kernel: Path, tmp_path: Path
) -> None:
    copy = tmp_path / 'a "quoted" place' / "os"
    copy.parent.mkdir()
    copy.symlink_to(kernel)
    gdb.connect(boot(copy), copy)
    assert gdb.insert_breakpoint("rust_main") == 1


def test_the_step_mode_is_taken(boot: BootGuest, gdb: Gdb) -> None:
    gdb.connect(boot(SPIN))
    gdb.console_command(f"maintenance packet {set_step_mode(STEP_WITH_INTERRUPTS)}")
    assert '"0x1"' in gdb.console_command(f"maintenance packet {ASK_STEP_MODE}")
    gdb.console_command(f"maintenance packet {set_step_mode(STEP_ALONE)}")
    assert '"0x7"' in gdb.console_command(f"maintenance packet {ASK_STEP_MODE}")


def test_unmapped_memory_is_an_error_with_its_address(boot: BootGuest, gdb: Gdb) -> None:
    gdb.connect(boot(SPIN))
    with pytest.raises(MemoryReadError) as caught:
        gdb.data.read_memory(0, 8)
    assert caught.value.address == 0


def test_the_guests_own_end(boot: BootGuest, gdb: Gdb) -> None:
    machine = boot(shut_down(0))
    gdb.connect(machine)
    gdb.resume()
    assert gdb.wait_stop(SECONDS).reason == "exited"
    assert machine.wait(SECONDS) == 0
    with pytest.raises(GdbError):
        gdb.resume()


@pytest.mark.parametrize("running", [False, True])
def test_qemu_killed(boot: BootGuest, gdb: Gdb, running: bool) -> None:
    machine = boot(SPIN)
    gdb.connect(machine)
    if running:
        gdb.resume()
    os.kill(machine.pid, signal.SIGKILL)
    assert machine.wait(SECONDS) == -signal.SIGKILL
    if running:
        assert gdb.wait_stop(SECONDS).reason == "exited"
    with pytest.raises(GdbError):
        gdb.data.read_memory(ENTRY, 4)


def test_gdb_killed(boot: BootGuest, gdb: Gdb) -> None:
    machine = boot(SPIN)
    gdb.connect(machine)
    gdb.resume()
    os.kill(gdb.pid, signal.SIGKILL)
    with pytest.raises(GdbError, match="gdb has ended"):
        gdb.wait_stop(SECONDS)
    with pytest.raises(GdbError, match="gdb has ended"):
        gdb.registers()
    assert machine.alive


def test_another_gdb_takes_over(boot: BootGuest, gdb_path: str) -> None:
    machine = boot(COUNT)
    for _ in range(2):
        with Gdb(gdb_path) as gdb:
            gdb.connect(machine)
            gdb.insert_breakpoint(ENTRY)
            gdb.resume()
            assert gdb.wait_stop(SECONDS).pc == ENTRY


def test_nobody_listens(gdb: Gdb, tmp_path: Path) -> None:
    with pytest.raises(GdbError, match="No such file"):
        gdb.connect(tmp_path / "none.sock")
    with pytest.raises(GdbError, match="No such file"):
        gdb.connect(tmp_path / "none.sock", tmp_path / "none.elf")
