"""The same commands in a gdb under MI, as the full-screen debugger drives it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.mi import GdbError
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.trace.run import Boot
from tests.support.in_gdb import SCRIPT, TIMEOUT, documents


@pytest.fixture
def behind_mi(gdb: str, rcdbg_kernel: Path) -> Iterator[Gdb]:
    with Qemu(Boot(rcdbg_kernel, "scenario=preempt interval=20000").config()) as qemu:  # noqa: SIM117
        with Gdb(gdb) as client:
            client.connect(qemu, rcdbg_kernel)
            client.source_commands(SCRIPT)
            yield client


def test_behind_the_tui(behind_mi: Gdb) -> None:
    """gdb under MI with mi-async, as the TUI drives it: the same commands, also interrupted."""
    handler = behind_mi.data.evaluate("&handle_interrupt")
    assert "timer interrupt at" in behind_mi.console_command("rc next-trap")
    assert f"{behind_mi.registers().pc:#x}" in handler
    assert "rcdbg: back at" in behind_mi.console_command("rc until-sret")
    assert "gave way" in behind_mi.console_command("rc next-switch")
    (document,) = documents(behind_mi.console_command("rc next-switch to 1 --json"))
    assert document["stop"]["to"] == 1
    running = threading.Event()
    stop_listening = behind_mi.subscribe(
        lambda record: running.set() if record and record.message == "running" else None
    )

    def break_off() -> None:
        if running.wait(TIMEOUT):
            behind_mi.interrupt()

    other = threading.Thread(target=break_off)
    other.start()
    assert "did not come first" in behind_mi.console_command('rc next-trap "load page fault"')
    other.join(TIMEOUT)
    stop_listening()
    assert not behind_mi.running
    assert "No breakpoints" in behind_mi.console_command("maint info breakpoints")
    assert "timer interrupt at" in behind_mi.console_command("rc next-trap")
    behind_mi.resume()
    with pytest.raises(GdbError, match="interrupt it first"):
        behind_mi.command('-interpreter-exec console "rc next-trap"')
    behind_mi.interrupt()
    behind_mi.wait_stop(TIMEOUT)
    assert "timer interrupt at" in behind_mi.console_command("rc next-trap")
