"""The console: what is printed comes out whole, what is typed comes in."""

import re

import pytest

from rcdbg.testing import BootKernel, console, exited, hit
from tests.traces.words import SOON, UNDISTURBED

pytestmark = pytest.mark.every_kernel


def test_lines_come_out_whole(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=2 {UNDISTURBED}")
    run.until(console(re.compile(r"^hello from kernel thread \d$")), ticks=SOON)


def test_what_is_typed_is_read(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("console")
    run.until(hit("scenarios::run"), ticks=SOON)
    run.type("hello, kernel\r")
    run.until(exited(status=0), ticks=SOON)
    assert "hello, kernel" in run.console
