"""Machines boot, print, end, and start again."""

import time
from pathlib import Path

import pytest

from rcdbg.errors import MachineError
from rcdbg.machine.qemu.board import RAM_BASE
from rcdbg.machine.qemu.config import PROGRAM, QemuConfig
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.machine.stub.client import StubClient
from tests.unit.machine.processes import SECONDS, Watch

from .conftest import ENTRY, BootGuest
from .guests import ECHO, SPIN, shut_down


def test_the_kernel_runs_to_its_end(boot: BootGuest, kernel: Path) -> None:
    machine = boot(kernel, paused=False, append="scenario=threads")
    assert machine.wait(SECONDS) == 0
    assert not machine.alive
    # All of it is there: what was printed last, too.
    assert machine.console.ended
    assert "OpenSBI" in machine.console.text
    assert machine.console.text.splitlines()[-1].endswith("passed")
    assert machine.errors == []


def test_a_paused_machine_has_not_run(boot: BootGuest) -> None:
    machine = boot(SPIN)
    assert machine.alive
    status = machine.monitor.execute("query-status")
    assert isinstance(status, dict)
    assert (status["status"], status["running"]) == ("prelaunch", False)
    assert machine.console.text == ""


def test_ram_is_live_memory(boot: BootGuest) -> None:
    machine = boot(SPIN, memory="64M")
    ram = machine.ram
    assert (ram.base, ram.size) == (0x8000_0000, 64 << 20)
    assert len(ram.memory) == ram.size
    assert ram.extent.end == 0x8400_0000
    offset = ENTRY - ram.base
    assert ram.memory[offset : offset + 4] == SPIN[0].to_bytes(4, "little")
    with StubClient(machine.gdb_socket) as stub:
        ram.memory[offset + 4096 : offset + 4100] = b"here"
        assert stub.read_phys(ENTRY + 4096, 4) == b"here"
        stub.memory.write(ENTRY + 8192, b"there")
        assert ram.memory[offset + 8192 : offset + 8197] == b"there"


def test_ram_can_be_read_after_the_machines_end(boot: BootGuest) -> None:
    machine = boot(shut_down(0), paused=False)
    assert machine.wait(SECONDS) == 0
    offset = ENTRY - RAM_BASE
    assert machine.ram.memory[offset : offset + 4] == shut_down(0)[0].to_bytes(4, "little")


def test_a_view_of_ram_outlives_the_machine(boot: BootGuest) -> None:
    machine = boot(SPIN)
    view = memoryview(machine.ram.memory)
    machine.close()
    offset = ENTRY - RAM_BASE
    assert view[offset : offset + 4] == SPIN[0].to_bytes(4, "little")


@pytest.mark.parametrize("status", [0, 1, 42])
def test_the_guest_chooses_the_exit_status(boot: BootGuest, status: int) -> None:
    machine = boot(shut_down(status), paused=False)
    assert machine.wait(SECONDS) == status


def test_what_is_typed_reaches_the_guest(boot: BootGuest) -> None:
    machine = boot(ECHO, paused=False)
    heard: list[str] = []
    machine.console.wait_for("MEDELEG", SECONDS)
    machine.console.subscribe(heard.append)
    start = len(machine.console.text)
    machine.console.write(b"typed by a test\n")
    machine.console.wait_for("typed by a test", SECONDS, start=start)
    assert "typed by a test" in "".join(heard)


def test_an_output_line_gives_all_its_text(boot: BootGuest, kernel: Path) -> None:
    machine = boot(kernel, paused=False, serial="output")
    assert machine.wait(SECONDS) == 0
    assert machine.console.text.splitlines()[-1].endswith("passed")
    with pytest.raises(MachineError, match="no input"):
        machine.console.write(b"x")


def test_a_recording_is_replayed_to_the_letter(
    boot: BootGuest, kernel: Path, tmp_path: Path
) -> None:
    log = tmp_path / "recording"

    def run(mode: str) -> str:
        machine = boot(
            kernel,
            paused=False,
            serial="output",
            append="scenario=threads",
            extra=("-icount", f"shift=auto,rr={mode},rrfile={log}"),
        )
        assert machine.wait(SECONDS) == 0
        return machine.console.text

    recorded = run("record")
    assert "passed" in recorded
    assert run("replay") == recorded


def test_quitting_completes_a_recording(boot: BootGuest, tmp_path: Path) -> None:
    log = tmp_path / "recording"
    machine = boot(
        SPIN,
        paused=False,
        serial="output",
        extra=("-icount", f"shift=auto,rr=record,rrfile={log}"),
    )
    machine.console.wait_for("MEDELEG", SECONDS)
    assert machine.quit() == 0
    assert machine.quit() == 0
    replayed = boot(
        SPIN,
        paused=False,
        serial="output",
        extra=("-icount", f"shift=auto,rr=replay,rrfile={log}"),
    )
    assert replayed.wait(SECONDS) == 0
    assert replayed.console.text == machine.console.text


def test_restarting_is_quick_and_leaves_nothing(boot: BootGuest, watch: Watch) -> None:
    seconds = []
    for _ in range(5):
        start = time.monotonic()
        machine = boot(SPIN, paused=False)
        watch(machine.pid, machine.warden_pid)
        machine.console.wait_for("MEDELEG", SECONDS)
        machine.close()
        machine.close()
        seconds.append(time.monotonic() - start)
        assert watch.ended(machine.pid, machine.warden_pid)
        assert not machine.directory.exists()
        assert not machine.alive
    # 0.08 s on an idle machine: so much more only when something waits that should not.
    assert min(seconds) < 1.0


def test_machines_run_side_by_side(boot: BootGuest) -> None:
    machines = [boot(SPIN, paused=False) for _ in range(3)]
    for machine in machines:
        machine.console.wait_for("MEDELEG", SECONDS)
    assert len({machine.directory for machine in machines}) == 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"extra": ("-bogus",)}, "invalid option"),
        ({"extra": ("-device", "no-such-device")}, "no-such-device"),
        ({"cpu": "z80"}, "z80"),
        ({"bios": "/no/such/firmware"}, "Unable to (load|find) the RISC-V"),
        ({"smp": "1000"}, "Invalid SMP CPUs"),
    ],
)
def test_what_qemu_refuses_is_told_in_its_words(
    boot: BootGuest, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(MachineError, match=f"^QEMU did not start: .*{reason}") as caught:
        boot(SPIN, **options)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no kernel image"):
        Qemu(QemuConfig(tmp_path))


def test_a_qemu_that_knows_no_sstc_boots_without_a_word_of_it(
    boot: BootGuest, tmp_path: Path
) -> None:
    """As QEMU 7.0 and 7.1, which have no such property, say so."""
    older = tmp_path / "qemu-system-riscv64"
    older.write_text(
        "#!/bin/sh\n"
        'case "$*" in *sstc=off*)\n'
        "    echo \"$0: Property 'rv64-riscv-cpu.sstc' not found\" >&2; exit 1;;\n"
        "esac\n"
        f'exec {PROGRAM} "$@"\n'
    )
    older.chmod(0o755)
    machine = boot(SPIN, qemu=str(older))
    assert machine.alive
    assert machine.config.cpu == "rv64"
