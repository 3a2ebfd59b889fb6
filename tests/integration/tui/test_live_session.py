"""The real session: QEMU, gdb and the decoders, without a screen."""

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from rcdbg.errors import RcdbgError, UsageError
from rcdbg.trace.run import Boot
from rcdbg.tui.live.session import LiveSession, SessionOptions
from rcdbg.tui.session import Move
from tests.integration.tui.conftest import Debug
from tests.integration.tui.recorder import Recorder
from tests.integration.tui.terminal import descendants, program
from tests.unit.machine.processes import Watch

GDBS = [
    path
    for path in (
        shutil.which(str(Path(sys.executable).parent / "gdb")),
        shutil.which("gdb-multiarch"),
    )
    if path is not None
]


def child(name: str) -> int:
    """The process of ours with that name."""
    return program(os.getpid(), name)


@pytest.mark.parametrize("gdb", GDBS)
def test_the_first_stop_has_everything(debug: Debug, gdb: str) -> None:
    session, told = debug(gdb=gdb)
    told.wait_stops(1)
    stopped = session.state()
    assert stopped.reason == "reached handle_interrupt"
    assert stopped.state.trap.cause == "supervisor timer interrupt"
    assert stopped.state.problems == ()
    code = stopped.code
    assert code.pc.symbol == "handle_interrupt"
    assert code.pc.offset == 0
    assert code.source is not None
    line = code.source.lines[code.source.current - code.source.first]
    assert "handle_interrupt" in line
    assert code.instructions[0].address == code.pc.address
    assert len(code.instructions) > 20
    assert "scenario preempt" in told.printed
    assert session.scenario == "preempt"


@pytest.mark.parametrize("gdb", GDBS)
def test_the_instructions_of_a_traps_entry_are_words(debug: Debug, gdb: str) -> None:
    """gdb has only numbers for those about CSRs, since no ELF claims the extension."""
    session, told = debug(gdb=gdb, at="__interrupt")
    told.wait_stops(1)
    texts = [item.text for item in session.state().code.instructions]
    assert texts[0] == "csrrw\tsp,sscratch,sp"
    assert not any(text.startswith(".insn") for text in texts)


PANIC = "os/src/scenarios/panic.rs"


@pytest.mark.parametrize("gdb", GDBS)
def test_a_panic_is_a_stop_and_shows_the_line_that_gave_up(debug: Debug, gdb: str) -> None:
    """What is right is what the kernel prints of it when it goes on."""
    session, told = debug(gdb=gdb, scenario="panic", at="rust_main")
    told.wait_stops(1)
    assert session.state().reason == "reached rust_main"
    session.go(Move.RESUME)
    told.wait_stops(2)
    stopped = session.state()
    code = stopped.code
    assert (code.pc.file or "").endswith(PANIC)
    session.go(Move.RESUME)
    told.wait(lambda me: "panicked at" in me.printed and me.events[-1:] != ["running"])
    printed = re.search(r"panicked at (\S+?):(\d+):(\d+)", told.printed)
    assert printed is not None
    assert stopped.reason == f"the kernel panics at {printed[1]}:{printed[2]}:{printed[3]}"
    assert code.pc.line == int(printed[2])


def test_a_kernel_that_ended_at_once_is_stopped_where_it_gives_up_when_started_again(
    debug: Debug,
) -> None:
    session, told = debug("panic", at="handle_interrupt")
    told.wait(lambda me: any(event not in ("running", "stop") for event in me.events))
    told.clear()
    session.restart()
    told.wait_stops(1)
    stopped = session.state()
    assert stopped.reason.startswith(f"the kernel panics at {PANIC}:")
    assert (stopped.code.pc.file or "").endswith(PANIC)


@pytest.mark.parametrize("gdb", GDBS)
def test_steps(debug: Debug, gdb: str) -> None:
    session, told = debug(gdb=gdb)
    told.wait_stops(1)
    pcs = [session.state().code.pc]
    moves = (Move.STEP_INSTRUCTION, Move.STEP_LINE, Move.NEXT_LINE, Move.FINISH)
    for stops, move in enumerate(moves, 2):
        session.go(move)
        told.wait_stops(stops)
        stopped = session.state()
        assert stopped.reason == "stepped"
        pcs.append(stopped.code.pc)
    assert 2 <= pcs[1].address - pcs[0].address <= 4
    assert len({pc.address for pc in pcs}) == 5


def test_threads_that_wait_one_after_the_other_and_the_hart_again(debug: Debug) -> None:
    """Each with the Context that it is parked with; the hart's own is as it was."""
    session, told = debug()
    told.wait_stops(1)
    while len(session.state().state.processor.ready) < 2:
        told.clear()
        session.go(Move.NEXT_TRAP)
        told.wait_stops(1)
    first = session.state()
    waiting = [t for t in first.state.processor.threads if t.status != "running"]
    for thread in waiting:
        assert f"thread {thread.id} is not on the hart" in session.select_next()
        stopped = session.state()
        assert stopped.selected == f"of thread {thread.id}"
        assert stopped.state.trap.context == thread.context
        assert thread.context is not None
        assert stopped.code.pc == thread.context.sepc
        assert stopped.state.hart == first.state.hart
    assert "of the hart" in session.select_next()
    assert session.state().state.trap == first.state.trap
    assert session.state().selected == ""


def test_to_the_next_trap_and_the_one_after(debug: Debug) -> None:
    session, told = debug()
    told.wait_stops(1)
    for stops in (2, 3):
        session.go(Move.NEXT_TRAP)
        told.wait_stops(stops)
        stopped = session.state()
        assert stopped.reason == "next trap: supervisor timer interrupt"
        assert session.state().reason == stopped.reason  # also when it is looked at again
        assert stopped.code.pc.symbol == "handle_interrupt"
    assert told.events.count("stop") == 3


def test_a_breakpoint_while_it_runs_goes_unnoticed_until_it_is_reached(debug: Debug) -> None:
    session, told = debug("timer")
    told.wait_stops(1)
    told.clear()
    session.go(Move.RESUME)
    told.wait(lambda me: "running" in me.events)
    assert "breakpoint 3 at handle_interrupt (0x" in session.add_breakpoint("handle_interrupt")
    told.wait_stops(1)
    stopped = session.state()
    assert stopped.reason == "breakpoint 3 at handle_interrupt"
    assert stopped.code.breakpoint_addresses
    assert told.events.count("stop") == 1


def test_breakpoints_by_any_path_that_the_symbol_table_has(debug: Debug) -> None:
    session, told = debug()
    told.wait_stops(1)
    names = session.symbols()
    assert "handle_interrupt" in names
    assert any("::" in name for name in names)
    for name in ("Thread::prepare", next(n for n in names if n.startswith("<"))):
        assert f"at {name}" in session.add_breakpoint(name)
    with pytest.raises(RcdbgError) as refused:
        session.add_breakpoint("nowhere")
    assert "\n" not in str(refused.value)


def test_an_interrupt_gives_up_the_way_to_the_next_trap(debug: Debug) -> None:
    session, told = debug("console", at="rust_main")
    told.wait_stops(1)
    session.go(Move.NEXT_TRAP)  # which never comes: the kernel polls for a line
    told.wait(lambda me: "type a line" in me.printed)
    session.interrupt()
    told.wait_stops(2)
    assert session.state().reason == "interrupted"
    left = session.console_command("info breakpoints", 80).splitlines()
    assert len(left) == 2, "all but the one at panics are gone"
    assert "panic" in left[1]


def test_typing_to_the_kernel_and_its_end(debug: Debug) -> None:
    session, told = debug("console", at="rust_main")
    told.wait_stops(1)
    session.go(Move.RESUME)
    told.wait(lambda me: "type a line" in me.printed)
    session.write_console("hello\n")
    told.wait(lambda me: any("guest shut down" in event for event in me.events))
    assert told.events[-1] == "guest shut down with status 0"
    assert 'you typed "hello"' in told.printed


def test_commands_of_gdb_and_of_ours(debug: Debug) -> None:
    session, told = debug()
    told.wait_stops(1)
    assert "handle_interrupt" in session.console_command("info symbol $pc", 80)
    assert "rc print PROCESSOR.scheduler" in session.completions("rc print PROCESSOR.")
    ready = session.console_command("rc print PROCESSOR.scheduler.pool --json", 60)
    count = json.loads(ready)["value"]["length"]
    assert session.completions("rc print PROCESSOR.scheduler.pool[") == [
        f"rc print PROCESSOR.scheduler.pool[{index}]" for index in range(count)
    ]
    assert session.completions("nonsense ") == []
    assert "FifoScheduler" in session.console_command("rc threads", 60)
    table = session.console_command("rc pagetable", 60)
    assert max(map(len, table.splitlines())) <= 60
    with pytest.raises(RcdbgError, match="Undefined command"):
        session.console_command("nonsense", 80)


def test_restart_keeps_the_users_breakpoints(debug: Debug, watch: Watch) -> None:
    session, told = debug()
    told.wait_stops(1)
    session.add_breakpoint("spin_with_pattern")
    session.state()
    first = child("qemu"), child("gdb")
    watch(*first)
    told.clear()
    session.restart()
    told.wait_stops(1)
    assert watch.ended(*first)
    # The breakpoint comes before the first trap of this scenario.
    assert session.state().reason.endswith("at spin_with_pattern")
    session.go(Move.RESUME)
    told.wait_stops(2)


@pytest.mark.parametrize(
    ("victim", "words"), [("qemu", "QEMU was killed by SIGKILL"), ("gdb", "gdb has ended")]
)
@pytest.mark.parametrize("running", [False, True])
def test_the_death_of_qemu_or_gdb_is_told_and_restart_mends_it(
    debug: Debug, victim: str, words: str, running: bool
) -> None:
    session, told = debug()
    told.wait_stops(1)
    if running:
        session.go(Move.RESUME)
        told.wait(lambda me: "running" in me.events)
    os.kill(child(victim), signal.SIGKILL)
    told.wait(lambda me: words in me.events)
    told.clear()
    session.restart()
    told.wait_stops(1)
    assert session.state().reason == "reached handle_interrupt"
    assert words not in told.events


def test_the_n_th_call(debug: Debug) -> None:
    session, told = debug("threads", at="handle_interrupt:3")
    told.wait_stops(1)
    assert session.state().reason == "reached handle_interrupt:3"


def test_closing_leaves_nothing_behind(debug: Debug, watch: Watch) -> None:
    session, told = debug()
    told.wait_stops(1)
    session.go(Move.RESUME)
    pids = child("qemu"), child("gdb")
    watch(*pids)
    session.close()
    session.close()
    assert watch.ended(*pids)
    with pytest.raises(RcdbgError):
        session.go(Move.RESUME)


def test_closing_while_it_starts(rcdbg_kernel: Path) -> None:
    session = LiveSession(SessionOptions(Boot(rcdbg_kernel), None, "handle_interrupt"))
    session.prepare()
    session.close()
    with pytest.raises(RcdbgError, match="closed"):
        session.start(Recorder())
    assert descendants(os.getpid()) == []


@pytest.mark.parametrize("at", ["nowhere", "handle_interrupt:0"])
def test_a_place_that_does_not_exist(debug: Debug, at: str) -> None:
    with pytest.raises(UsageError):
        debug(at=at)


def test_before_the_kernel_runs(debug: Debug) -> None:
    # Linked to run at its virtual address, it begins at the physical one.
    session, told = debug("preempt", at="_start")
    told.wait_stops(1)
    stopped = session.state()
    assert stopped.reason == "reached _start"
    assert stopped.state.page_table.mode == "bare"
    assert stopped.code.instructions
