"""Boot arguments that make no sense: the kernel says so in one line, and ends with failure."""

import pytest

from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import exited


@pytest.mark.parametrize(
    ("scenario", "argument", "why"),
    [
        ("preempt", "threads=9999", "at most"),
        ("registers", "threads=9999", "at most"),
        ("processes", "processes=9999", "at most"),
        ("preempt", "threads=0", "must be positive"),
        ("preempt", "threads=x", "not a number"),
    ],
)
def test_it_is_refused(rcdbg_boot: BootKernel, scenario: str, argument: str, why: str) -> None:
    run = rcdbg_boot(scenario, argument)
    run.until(exited(status=1))
    assert f"boot argument {argument}: {why}" in run.console.splitlines()[-1]
