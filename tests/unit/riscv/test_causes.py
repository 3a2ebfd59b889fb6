"""The names of trap causes."""

import pytest

from rcdbg.riscv import causes

ALL = [*causes.EXCEPTIONS, *(causes.INTERRUPT_BIT | code for code in causes.INTERRUPTS)]


@pytest.mark.parametrize("scause", ALL, ids=causes.describe)
def test_what_a_cause_is_called_names_it(scause: int) -> None:
    words = causes.describe(scause)
    assert causes.named(words) == scause
    assert causes.named(words.upper().replace(" ", "_")) == scause
