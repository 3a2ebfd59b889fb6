"""A kernel that runs while it is looked at."""

import json
import time
from pathlib import Path

import pytest

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.machine.qemu import live
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.read import read_state
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import exited, trap
from rcdbg.trace.run import Run
from rcdbg.trace.story.live import running_guest, sample
from tests.integration.targets.ways import (
    answers,
    is_running,
    let_go,
    one_line,
    rcdbg,
)

pytestmark = pytest.mark.every_kernel


def test_samples_of_a_busy_kernel_are_whole(rcdbg_boot: BootKernel) -> None:
    """Threads are switched thousands of times a second: each must be there, and once.

    A sample may be of a moment in the middle of a queue's operation, when the queue contradicts
    itself: that is then said, and the samples of which nothing is said are whole.
    """
    run = rcdbg_boot("preempt", "interval=3000")
    for _ in range(3):
        run.until(trap("timer"))
    before = run.state()
    assert before.processor.current is not None
    let_go(run.machine)
    whole = 0
    for _ in range(25):
        with running_guest(run.machine.target, run.machine.qemu.quick_socket) as guest:
            found, _ = sample(run.image, guest, read_state)
        threads = [found.processor.current, *found.processor.ready, *found.processor.sleeping]
        # A switch takes the running thread off and puts another on: in between there is none.
        ids = sorted(t.id for t in threads if t is not None and t.id is not None)
        assert ids == sorted(set(ids))
        assert set(ids) <= {t.id for t in before.processor.threads}
        if not found.processor.problems:
            others = [t for t in before.processor.threads if not t.is_idle]
            assert len(ids) >= len(others) - 1
            whole += 1
        assert found.frames == before.frames
        assert found.page_table.problems == ()
        assert is_running(run.machine)
    assert whole >= 20


def test_a_stop_is_measured_and_over(run: Run) -> None:
    let_go(run)
    with Monitor(run.qemu.quick_socket) as monitor:
        began = time.perf_counter()
        with live.paused(monitor) as pause:
            assert not is_running(run)
        assert 0 < pause.seconds < time.perf_counter() - began
        assert is_running(run)
        # Also when looking at it fails.
        with pytest.raises(MemoryReadError), live.paused(monitor):
            run.target.read_phys(0, 8)
        assert is_running(run)


def test_the_registers_of_a_stop_stay_those_of_the_stop(run: Run) -> None:
    """They are decoded when the guest runs on; QEMU, asked within the stop, is the witness."""
    let_go(run)
    with Monitor(run.qemu.quick_socket) as monitor:
        for _ in range(5):
            with live.paused(monitor) as pause:
                values = parse_info_registers(run.qemu.monitor.hmp("info registers"))
            assert is_running(run)
            assert pause.registers.pc == values["pc"]
            assert pause.registers.x == tuple(values[f"x{n}"] for n in range(32))


def test_a_kernel_that_has_ended_is_no_live_one(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads")
    run.until(exited())
    with (
        pytest.raises(MachineError),
        running_guest(run.machine.target, run.machine.qemu.quick_socket) as guest,
    ):
        sample(run.image, guest, answers)


@pytest.mark.one_kernel
def test_live_on_the_command_line(rcdbg_kernel: Path) -> None:
    words = ("--live", "--scenario", "preempt", "--kernel", rcdbg_kernel)
    done = rcdbg("show", "threads", "--json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["sample"]["how"] in ("unchanged", "stopped")
    assert document["threads"]["problems"] == []
    done = rcdbg("walk", "handle_interrupt", *words)
    assert done.stdout.startswith("live, ")
    assert "level 2" in done.stdout
    assert "exclude" in one_line(rcdbg("show", "--snapshot", "x", *words))
    assert "takes" in one_line(rcdbg("snapshot", "x", *words))
