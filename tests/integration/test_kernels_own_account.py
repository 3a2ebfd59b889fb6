"""What rcdbg decodes equals what the kernel says of itself at the same place."""

import pytest

from rcdbg.model.state import KernelState
from rcdbg.subjects.table import subject
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached, trap
from tests.support.dump import Dump, check_state, parse_dump

pytestmark = pytest.mark.every_kernel


def state_and_dump(
    boot: BootKernel, scenario: str, tick: int, append: str
) -> tuple[KernelState, Dump]:
    """The state decoded at a tick's handler, and what that handler then prints."""
    run = boot(scenario, f"dump={tick} interval=200000 {append}")
    for _ in range(tick):
        run.until(trap("timer"))
    state = run.state()
    run.machine.stub.resume()
    run.machine.qemu.console.wait_for("[dump] end", 30)
    return state, parse_dump(run.console)


@pytest.mark.parametrize(
    ("scenario", "tick", "append"),
    [("preempt", 20, "threads=5"), ("preempt", 3, ""), ("sleepers", 2, "")],
)
def test_threads_frames_and_satp(
    rcdbg_boot: BootKernel, scenario: str, tick: int, append: str
) -> None:
    state, dump = state_and_dump(rcdbg_boot, scenario, tick, append)
    check_state(state, dump)


def test_sleeping_threads_are_there_to_be_seen(rcdbg_boot: BootKernel) -> None:
    """Guards the test above: in `sleepers` some threads do sleep at that tick."""
    _, dump = state_and_dump(rcdbg_boot, "sleepers", 2, "")
    assert dump.sleeping


def test_the_json_says_it_too(rcdbg_boot: BootKernel) -> None:
    """`show all --at handle_interrupt:20 --json` against the dump of the twentieth tick."""
    run = rcdbg_boot("preempt", "dump=20 interval=100000")
    kernel = run.until(reached("handle_interrupt", 20))
    assert kernel is not None
    state = subject("all").answer(kernel).document["state"]
    run.machine.stub.resume()
    run.machine.qemu.console.wait_for("[dump] end", 30)
    dump = parse_dump(run.console)
    assert dump.current is not None
    assert dump.trap is not None
    threads = state["threads"]
    assert threads["current"]["id"] == dump.current["id"]
    assert [t["id"] for t in threads["ready"]] == [r["id"] for r in dump.ready]
    for thread in threads["ready"]:
        parked, said = thread["context"], dump.parked[thread["id"]]
        assert tuple(int(v, 16) for v in parked["x"].values()) == said["x"]
        assert int(parked["sepc"]["address"], 16) == said["sepc"]
        assert int(parked["sstatus"]["value"], 16) == said["sstatus"]
    assert int(state["trap"]["context"]["sepc"]["address"], 16) == dump.trap["sepc"]
    assert [(i["start"], i["end"]) for i in state["frames"]["free"]] == dump.free
