"""A kernel in the shape of xv6-riscv, in C: decoders say at each stop what the kernel says."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcdbg.machine.qemu.own_line import parse
from rcdbg.trace.conditions import reached, switch
from rcdbg.trace.run import Boot, Run
from tests.integration.kernels.compare import same_memory, same_tables, same_threads, stops
from tests.support.shapes import SOURCE

LINE = ["qemu-system-riscv64", "-machine", "virt", "-nographic", "-m", "16M", "-bios", "none"]

BUILDS = {
    "debug": ("-O0",),
    "optimised": ("-O2",),
    "DWARF 4": ("-O1", "-gdwarf-4"),
    "fields moved": ("-O1", "-DMOVED"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("xv6")


def build(folder: Path, flags: tuple[str, ...]) -> Path:
    kernel = folder / "".join(flags)
    if not kernel.exists():
        subprocess.run([SOURCE / "xv6" / "build.sh", kernel, *flags], check=True)
    return kernel


def boot(kernel: Path, harts: int = 1) -> Run:
    own = parse([*LINE, "-smp", str(harts), "-kernel", str(kernel)])
    return Run(Boot(kernel, memory=own.memory or "", deterministic=True, own=own))


@pytest.fixture(params=list(BUILDS))
def run(request: pytest.FixtureRequest, folder: Path) -> Iterator[Run]:
    with boot(build(folder, BUILDS[request.param])) as run:
        yield run


def test_what_the_kernel_says_is_what_is_shown(run: Run) -> None:
    count = 0
    for account, kernel in stops(run):
        # It has places for eight harts: which of them take turns is not known.
        same_threads(account, run.state().processor, is_ordered=False)
        same_memory(account, kernel)
        count += 1
    assert count >= 8


def test_qemu_sees_the_same_tables(run: Run) -> None:
    for symbol in ("usertrap", "accounted", "userret"):
        run.until(reached(symbol))
        same_tables(run)


def test_with_several_harts_the_one_that_stopped_is_shown(folder: Path) -> None:
    with boot(build(folder, BUILDS["optimised"]), 3) as run:
        count = 0
        for account, kernel in stops(run):
            same_threads(account, run.state().processor, is_ordered=False)
            same_memory(account, kernel)
            count += 1
        assert count >= 8


def test_switches_come_one_after_the_other_on_several_harts(folder: Path) -> None:
    with boot(build(folder, BUILDS["optimised"]), 3) as run:
        for _ in range(20):
            kernel = run.until(switch())
            assert kernel is not None
            assert run.state().processor.current is not None
