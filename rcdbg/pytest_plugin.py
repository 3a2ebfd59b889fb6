"""The pytest plugin: boot a kernel in a test, run it from event to event, look inside.

    from rcdbg.trace.events import exited, trap

    def test_breakpoint(rcdbg_boot):
        run = rcdbg_boot("breakpoint")
        run.until(trap("breakpoint"))
        assert run.state().trap.context is not None
        run.until(exited(status=0))

The kernel is `--rcdbg-kernel ELF`, else $RCDBG_KERNEL, else the one that `make kernel` built.
Everything that a test boots ends with it; when it fails, the report has the console and the state.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    # Every pytest run in an environment with rcdbg loads this file: it stays light.
    from rcdbg.image.elf import Image
    from rcdbg.trace.run import Run

_CONSOLE_LINES = 40


class BootKernel(Protocol):
    """What the fixture `rcdbg_boot` is."""

    def __call__(
        self,
        scenario: str | None = None,
        append: str = "",
        memory: str = "128M",
        deterministic: bool = True,
    ) -> "Run":
        """Boot the kernel under test with these boot arguments; it has not run yet.

        Time is counted in instructions, so that a busy host changes nothing; with `deterministic`
        false, the machine runs at full speed and in real time.
        """


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("rcdbg", "rcdbg: kernels under test")
    group.addoption("--rcdbg-kernel", metavar="ELF", help="the kernel to test")
    group.addoption("--rcdbg-qemu", metavar="PATH", help="the qemu-system-riscv64 to use")
    group.addoption(
        "--rcdbg-artifacts",
        metavar="DIR",
        help="where failed tests save their kernels (default: the test's tmp_path; '' for nowhere)",
    )


_RUNS = pytest.StashKey[list["Run"]]()


@pytest.fixture(scope="session")
def rcdbg_kernel(request: pytest.FixtureRequest) -> Path:
    """The ELF of the kernel under test."""
    from rcdbg.errors import RcdbgError
    from rcdbg.image.locate import default_kernel

    named = request.config.getoption("--rcdbg-kernel")
    if named:
        return Path(named)
    try:
        return default_kernel()
    except RcdbgError as error:
        pytest.fail(f"{error} or --rcdbg-kernel", pytrace=False)


@pytest.fixture(scope="session")
def rcdbg_image(rcdbg_kernel: Path) -> "Image":
    """The kernel's ELF, read once for all tests."""
    from rcdbg.image.elf import load_image

    return load_image(rcdbg_kernel)


@pytest.fixture
def rcdbg_boot(
    request: pytest.FixtureRequest, rcdbg_kernel: Path, rcdbg_image: "Image"
) -> Iterator[BootKernel]:
    """Boots the kernel under test, as often as the test likes; all of it ends with the test."""
    from rcdbg.trace.run import Boot, Run

    runs: list[Run] = []
    request.node.stash[_RUNS] = runs

    def start(
        scenario: str | None = None,
        append: str = "",
        memory: str = "128M",
        deterministic: bool = True,
    ) -> Run:
        words = ([f"scenario={scenario}"] if scenario else []) + ([append] if append else [])
        qemu = request.config.getoption("--rcdbg-qemu")
        machine = Boot(rcdbg_kernel, " ".join(words), memory, qemu, deterministic)
        run = Run(machine, rcdbg_image)
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """To the report of a failed test, add what the kernels in it printed, and where they stand."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for run in item.stash.get(_RUNS, []):
        lines = run.console.splitlines()[-_CONSOLE_LINES:]
        report.sections.append(("kernel console", "\n".join(lines)))
        report.sections.append(("kernel state", _state(run)))


def _state(run: "Run") -> str:
    from rcdbg.errors import RcdbgError
    from rcdbg.views.render import render_text
    from rcdbg.views.state import view

    try:
        return render_text(view(run.state()))
    except RcdbgError as error:
        return f"not to be had: {error}"
