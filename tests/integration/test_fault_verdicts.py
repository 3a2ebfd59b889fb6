"""Each page fault of the `fault` scenario is one that the verdict for its address foretells."""

import pytest

from rcdbg.model.memory.page_table import translate
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import trap

pytestmark = pytest.mark.every_kernel

CASES = [
    ("load page fault", "read", "V"),
    ("store page fault", "write", "W"),
    ("instruction page fault", "fetch", "X"),
]


@pytest.mark.parametrize(("cause", "access", "rule"), CASES, ids=[c[1] for c in CASES])
def test_the_rule_that_the_access_broke(
    rcdbg_boot: BootKernel, cause: str, access: str, rule: str
) -> None:
    kernel = rcdbg_boot("fault").until(trap(cause))
    assert kernel is not None
    address = kernel.csr("stval")
    assert address is not None
    for verdict in translate(kernel, address).verdicts:
        if (verdict.access, verdict.privilege) == (access, "S"):
            assert verdict.allowed is False
            assert verdict.broken[0].name == rule
