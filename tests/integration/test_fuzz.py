"""A short run of `make fuzz`: the decoders answer, whatever stands in memory."""

import pytest

from rcdbg.testing.plugin import BootKernel
from tests.fuzz import MEMORY, STATES, Victim, play

pytestmark = pytest.mark.every_kernel

ROUNDS = 80


def test_random_damage(rcdbg_boot: BootKernel) -> None:
    victims = [
        Victim.at(rcdbg_boot(None, append, MEMORY).machine, conditions())
        for append, conditions in STATES
    ]
    outcomes = [play(victims, seed) for seed in range(ROUNDS)]
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    assert not failures, failures[0]
    assert sum(outcome.changed for outcome in outcomes) > ROUNDS // 3, "the damage shows"
