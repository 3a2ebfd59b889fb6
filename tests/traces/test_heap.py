"""The heap: what is asked for is there, what is given back is free again."""

import pytest

from rcdbg.testing import BootKernel, console, hit
from tests.traces.words import SOON

pytestmark = pytest.mark.every_kernel


def test_the_heap_ends_as_it_began(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap", events="traps")
    run.until(hit("scenarios::run"), ticks=SOON)
    before = run.heap()
    assert before.allocated is not None
    assert before.total is not None
    assert before.free == before.total - before.allocated
    run.until(console("sizes test passed"), ticks=SOON)
    after = run.heap()
    assert after.allocated == before.allocated, (
        f"the heap has {after.allocated} bytes in use, and had {before.allocated} before"
    )
    assert after.free == before.free, "all that is not in use is in the free lists"
    assert not after.problems
