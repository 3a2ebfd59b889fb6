"""Kernels in the shapes of rCore-Tutorial-v3: decoders say at each stop what the kernel says."""

from collections.abc import Iterator

import pytest

from rcdbg.trace.conditions import reached
from rcdbg.trace.run import Boot, Run
from tests.integration.kernels.compare import same_memory, same_tables, same_threads, stops
from tests.support.shapes import MEMORY, build


@pytest.fixture(params=["debug", "release"])
def profile(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--release",) if request.param == "release" else ()


@pytest.fixture(params=["ch3", "ch4", "ch5", "ch8"])
def run(request: pytest.FixtureRequest, profile: tuple[str, ...]) -> Iterator[Run]:
    elf = build("v3", *profile) / request.param
    with Run(Boot(elf, memory=MEMORY, deterministic=True)) as run:
        yield run


def test_what_the_kernel_says_is_what_is_shown(run: Run) -> None:
    numbers = []
    for account, kernel in stops(run):
        same_threads(account, run.state().processor)
        if account.kernel_root is not None:
            same_memory(account, kernel)
        numbers.append(account.number)
    assert len(numbers) >= 8
    assert numbers == list(range(1, len(numbers) + 1))


def test_qemu_sees_the_same_tables(run: Run) -> None:
    for symbol in ("trap_handler", "accounted", "trap_handler"):
        run.until(reached(symbol))
        same_tables(run)
