"""Shutdown: a scenario that is done says so, and the machine ends with its verdict."""

import pytest

from rcdbg.testing import BootKernel, exited, reached
from tests.traces.words import FAST, SOON

pytestmark = pytest.mark.every_kernel

SCENARIOS = ["threads", "heap", "frames", "mapping", "breakpoint", "timer", "sleepers",
             "registers", "processes"]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_finite_scenario_passes_and_shuts_down(rcdbg_boot: BootKernel, scenario: str) -> None:
    run = rcdbg_boot(scenario, FAST, events="satp")
    run.until(exited(status=0), ticks=SOON)
    assert f"scenario {scenario} passed" in run.console


def test_the_machine_ends_when_all_threads_have(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", "threads=3", events="satp")
    run.until(reached("scenarios::shutdown"), ticks=SOON)
    left = [t.id for t in run.state().processor.threads if not t.is_idle]
    assert not left, f"threads {left} are left at the end"
    run.until(exited(status=0), ticks=SOON)
