"""The full-screen debugger as a person uses it."""

import os
import re
import signal

import pytest

from tests.integration.tui.conftest import Open
from tests.integration.tui.terminal import descendants, program
from tests.unit.machine.processes import Watch

TITLES = ("Code", "Console", "gdb", "Context", "CSRs", "Page table", "Threads", "Frames")
READY = ("STOPPED", "reached handle_interrupt", "handle_interrupt")


@pytest.mark.parametrize(("width", "height"), [(160, 48), (100, 30)])
def test_everything_at_once_and_a_clean_end(
    open_rcdbg: Open, watch: Watch, width: int, height: int
) -> None:
    terminal = open_rcdbg("--scenario", "preempt", width=width, height=height)
    terminal.wait_for(
        *(*READY, *TITLES, "thread 1 never yields", "scenario preempt", "quit"),
        *("supervisor timer interrupt", "Sv39", "FifoScheduler", "running", "frames used"),
        *('pub extern "C" fn handle_interrupt', "addi"),
    )
    processes = descendants(terminal.pid)
    assert program(terminal.pid, "qemu") in processes
    watch(*processes)
    terminal.press("q")
    assert terminal.status() == 0
    assert watch.ended(*processes)
    assert "Traceback" not in terminal.text


def test_a_debugging_session(open_rcdbg: Open) -> None:
    terminal = open_rcdbg("--scenario", "preempt")
    terminal.wait_for(*READY)
    terminal.press("i")
    terminal.wait_for("STOPPED  stepped", r"── handle_interrupt\+0x[24] ─")
    terminal.press("n")
    terminal.wait_for(r"handler\.rs:(?!19)\d+")
    terminal.press("t")
    terminal.wait_for("next trap: supervisor timer interrupt", "handler.rs:19")

    terminal.press("b")
    terminal.wait_for("Breakpoint at")
    terminal.type("spin_with")
    terminal.wait_for("▸ spin_with_pattern")
    terminal.press("Enter")
    terminal.wait_for(r"breakpoint \d+ at spin_with_pattern \(0x", without="Breakpoint at")

    terminal.press("c")
    terminal.wait_for(r"STOPPED  breakpoint \d+ at spin_with_pattern", r"── spin_with_pattern ─")
    terminal.press(":")
    terminal.wait_for("a gdb command; Tab completes, Esc leaves")
    terminal.type("disable")
    terminal.press("Enter")
    terminal.wait_for(r"\(gdb\) disable")
    terminal.press("Escape")
    terminal.wait_for("gdb", without="a gdb command; Tab completes, Esc leaves")

    terminal.press("c")
    terminal.wait_for("RUNNING")
    terminal.press("C-c")
    terminal.wait_for("STOPPED  interrupted", r"spin_with_pattern\+0x")
    terminal.press("c")
    terminal.wait_for("RUNNING")
    terminal.press("x")
    terminal.wait_for("STOPPED  interrupted")

    terminal.press(":")
    terminal.wait_for("a gdb command; Tab completes, Esc leaves")
    terminal.type("p 6 * 7")
    terminal.press("Enter")
    terminal.wait_for(r"\$\d = 42")
    terminal.type("rc nonsense")
    terminal.press("Enter")
    terminal.wait_for(r"! .*nonsense")
    terminal.press("Escape")
    terminal.wait_for("42", without="a gdb command; Tab completes, Esc leaves")

    terminal.press("r")
    text = terminal.wait_for("STOPPED  breakpoint 1 at spin_with_pattern", "stepped|restarted")
    assert "Traceback" not in text
    terminal.press("q")
    assert terminal.status() == 0


def test_typing_to_the_kernel_until_it_shuts_down(open_rcdbg: Open) -> None:
    terminal = open_rcdbg("--scenario", "console", "--at", "rust_main")
    terminal.wait_for("STOPPED  reached rust_main")
    terminal.press("c")
    terminal.wait_for("type a line")
    terminal.press("k")
    terminal.wait_for("to the kernel; Esc leaves")
    terminal.type("hello there")
    terminal.press("Enter")
    terminal.wait_for('you typed "hello there"', "EXITED  guest shut down with status 0")
    terminal.press("Escape")
    terminal.wait_for("EXITED", without="Esc leaves")
    terminal.press("r")
    terminal.wait_for("STOPPED  reached rust_main", without="you typed")
    terminal.press("q")
    assert terminal.status() == 0


@pytest.mark.parametrize("victim", ["qemu", "gdb"])
def test_qemu_or_gdb_killed(open_rcdbg: Open, victim: str) -> None:
    terminal = open_rcdbg("--scenario", "preempt")
    terminal.wait_for(*READY)
    os.kill(program(terminal.pid, victim), signal.SIGKILL)
    terminal.wait_for("EXITED", "r restarts", "Traps|Threads")
    terminal.press("s")
    terminal.wait_for("the kernel has ended: r restarts it")
    terminal.press("r")
    terminal.wait_for("STOPPED  reached handle_interrupt")
    terminal.press("q")
    assert terminal.status() == 0


def test_quitting_after_a_death_is_clean(open_rcdbg: Open) -> None:
    terminal = open_rcdbg("--scenario", "preempt")
    terminal.wait_for(*READY)
    for pid in (program(terminal.pid, "qemu"), program(terminal.pid, "gdb")):
        os.kill(pid, signal.SIGKILL)
    terminal.wait_for("EXITED")
    terminal.press("q")
    assert terminal.status() == 0
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal_and_leaves_nothing(
    open_rcdbg: Open, watch: Watch, number: signal.Signals
) -> None:
    terminal = open_rcdbg("--scenario", "preempt")
    terminal.wait_for(*READY)
    processes = descendants(terminal.pid)
    watch(*processes)
    os.kill(terminal.pid, number)
    assert terminal.status() == 128 + number
    assert watch.ended(*processes)
    assert "Traceback" not in terminal.text


def test_what_cannot_be_started_is_one_line(open_rcdbg: Open) -> None:
    terminal = open_rcdbg("--at", "nowhere")
    assert terminal.status() == 2
    text = terminal.wait_for("rcdbg: .* has no symbol 'nowhere'")
    assert "Traceback" not in text


def test_resizing(open_rcdbg: Open) -> None:
    terminal = open_rcdbg("--scenario", "preempt", width=100, height=30)
    terminal.wait_for(*READY)
    terminal.resize(160, 48)
    text = terminal.wait_for("breakpoint  r restart", *TITLES)
    assert re.search(r"^╭─ Code .*╮╭─ Page table .*╮╭─ Context", text, re.MULTILINE)
    terminal.resize(60, 15)
    terminal.wait_for("STOPPED", "Code", without="Frames")
    terminal.press("s")
    terminal.wait_for("STOPPED  stepped")
