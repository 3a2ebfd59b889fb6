"""Where code of a trampoline runs, and which code runs there."""

from types import SimpleNamespace
from typing import Any

import pytest

from rcdbg.errors import UsageError
from rcdbg.kernels.description import Names, TrapConcept
from rcdbg.kernels.reading import overlay_of
from rcdbg.kernels.trampoline import linked_at, running_at

LINKED, PAGE = 0x8020_1000, 0xFFFF_FFFF_FFFF_F000
IMAGE: Any = SimpleNamespace(
    symbols=SimpleNamespace(
        address_of={"entry": LINKED, "low": LINKED + 0x10, "exit": LINKED + 0x80}.get
    )
)
TRAP = TrapConcept(Names(("entry",)), exit=Names(("exit",)), runs_at=Names((f"{PAGE:#x}",)))


def test_there_and_back() -> None:
    assert running_at(IMAGE, TRAP, LINKED + 0x80) == PAGE + 0x80
    assert linked_at(IMAGE, TRAP, PAGE + 0x80) == LINKED + 0x80


def test_other_code_runs_where_it_is_linked() -> None:
    assert running_at(IMAGE, TRAP, LINKED - 2) is None
    assert running_at(IMAGE, TRAP, LINKED + 0x1000) is None
    assert linked_at(IMAGE, TRAP, LINKED + 0x80) == LINKED + 0x80
    bare = TrapConcept(Names(("entry",)))
    assert running_at(IMAGE, bare, LINKED) is None
    low = TrapConcept(Names(("low",)), runs_at=TRAP.runs_at)
    assert running_at(IMAGE, low, LINKED + 0x80) is None, "it begins no page"
    assert linked_at(IMAGE, TrapConcept(Names(("gone",)), runs_at=TRAP.runs_at), PAGE) == PAGE


@pytest.mark.parametrize("text", ["there", "-0x1000", "0x1ffffffffffffffff", "4096"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="runs_at has to be an address"):
        overlay_of(f'[trap]\nruns_at = "{text}"\n'.encode(), "kernel.toml")
