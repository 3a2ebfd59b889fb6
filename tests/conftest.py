"""Markers, how hypothesis looks for counterexamples, and how much memory a kernel gets."""

import gc
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rcdbg.testing.plugin import BootKernel

MEMORY = "32M"

# Thousands of tests keep millions of objects alive, which the collector would walk again and again.
gc.set_threshold(100_000, 20, 50)

# A busy machine must not fail a test, and the same tests must not fail at one time and pass at
# another: so no deadlines, and the same examples each time, of which more would find nothing new.
# `--hypothesis-profile=explore` looks for others.
_ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile(
    "repeatable", _ANY_SPEED, derandomize=True, database=None, max_examples=60
)
settings.register_profile("explore", _ANY_SPEED, max_examples=500)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "every_kernel: holds for every kernel of the kind; also run on the variants of ours",
    )
    config.addinivalue_line(
        "markers",
        "one_kernel: of these tests, one of options and words, in which kernels do not differ",
    )


@pytest.fixture
def rcdbg_boot(rcdbg_boot: BootKernel) -> BootKernel:
    """The plugin's fixture, for machines with MEMORY where a test does not say how much.

    A kernel maps all of its memory page by page before it does anything else, and each process of
    it does so again: of the plugin's 128 MiB that is most of the time that many tests take.
    """

    def boot(
        scenario: str | None = None,
        append: str = "",
        memory: str | None = None,
        *more: Any,
        **named: Any,
    ) -> Any:
        if memory is None and "qemu" not in named:
            memory = MEMORY
        return rcdbg_boot(scenario, append, memory, *more, **named)

    return boot
