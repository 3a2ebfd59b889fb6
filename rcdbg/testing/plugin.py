"""The pytest plugin: boot a kernel in a test, follow what it does, look inside.

    from rcdbg.testing import console, exited, switch, trap_enter

    def test_preemption(rcdbg_boot):
        run = rcdbg_boot("preempt", "threads=3 interval=100000")
        run.until(trap_enter(cause="timer"))
        assert run.state().trap.cause == "supervisor timer"
        run.expect_order(switch(to=2), switch(to=3), switch(to=1))

The kernel is `--rcdbg-kernel ELF`, else what `--rcdbg-qemu "qemu-system-riscv64 ..."` boots (in
pytest's ini file: rcdbg_qemu), else $RCDBG_KERNEL, else the one that `make kernel` built.
`--rcdbg-profile FILE` tells what it calls its things, if that is not as in rcdbg's descriptions.
Everything that a test boots ends with it. When it fails, the report has the last events, where the
kernel stands, its threads, and the paths of a snapshot and a trace of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    # Every pytest run in an environment with rcdbg loads this file: it stays light.
    from rcdbg.image.elf import Image
    from rcdbg.kernels.reading import Overlay
    from rcdbg.testing.machine import Line, Ordered, ReadOnce
    from rcdbg.trace.story.invariants import Invariant
    from rcdbg.trace.story.story import Story

INVARIANTS_MARK = "rcdbg_invariants"


class BootKernel(Protocol):
    """What the fixture `rcdbg_boot` is."""

    def __call__(
        self,
        scenario: str | None = None,
        append: str = "",
        memory: str | None = None,
        deterministic: bool = True,
        events: str | None = None,
        qemu: "Line | None" = None,
    ) -> "Story":
        """Boot the kernel under test with these boot arguments; it has not run yet.

        `qemu` is a QEMU command line of its own, such as "qemu-system-riscv64 -machine virt -kernel
        os", with names relative to the test's folder; with --rcdbg-kernel, that is booted in place
        of the kernel in it. `memory` is 128M, or what such a line says.

        Time is counted in instructions, so that a busy host changes nothing; with `deterministic`
        false, the machine runs at full speed and in real time. `events` are the kinds that are
        watched from the start, as in "traps,frames"; those that a test waits for come to them.
        """


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("rcdbg", "rcdbg: kernels under test")
    group.addoption("--rcdbg-kernel", metavar="ELF", help="the kernel to test")
    group.addoption(
        "--rcdbg-profile", metavar="FILE", help="TOML with the names that this kernel uses"
    )
    group.addoption(
        "--rcdbg-programs",
        metavar="PLACE",
        action="append",
        default=[],
        help="where the programs are that it runs in U-mode: a folder, a disk image or an ELF",
    )
    group.addoption(
        "--rcdbg-qemu",
        metavar="PATH|LINE",
        help="the qemu-system-riscv64 to use, or a whole command line that boots the kernel",
    )
    parser.addini("rcdbg_qemu", "the QEMU command line that boots the kernel", type="args")
    group.addoption(
        "--rcdbg-sources",
        metavar="DIR",
        action="append",
        default=[],
        help="whose files a report may quote lines of (default: the kernel's own folder)",
    )
    group.addoption(
        "--rcdbg-artifacts",
        metavar="DIR",
        help="where the kernels of failed tests are saved (default: tmp_path; '' for nowhere)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", f"{INVARIANTS_MARK}(*rules): invariants, or their names, to hold at every event"
    )


_IMAGES = pytest.StashKey["ReadOnce"]()
_RUNS = pytest.StashKey[list["Story"]]()


@pytest.fixture(scope="session")
def rcdbg_kernel(request: pytest.FixtureRequest) -> Path:
    """The ELF of the kernel under test."""
    from rcdbg.errors import ImageError, RcdbgError

    try:
        return _asked(request.config).elf()
    except ImageError as error:
        pytest.fail(f"{error} or --rcdbg-kernel", pytrace=False)
    except RcdbgError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def rcdbg_image(request: pytest.FixtureRequest, rcdbg_kernel: Path) -> "Image":
    """The kernel's ELF, read once for all tests."""
    from rcdbg.errors import RcdbgError

    try:
        return _images(request.config).of(rcdbg_kernel)
    except RcdbgError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def rcdbg_names(request: pytest.FixtureRequest) -> "Overlay":
    """What --rcdbg-profile says of the kernel's names."""
    from rcdbg.errors import RcdbgError
    from rcdbg.kernels.reading import NOTHING, load_overlay

    file = request.config.getoption("--rcdbg-profile")
    try:
        return load_overlay(Path(file)) if file else NOTHING
    except RcdbgError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def rcdbg_boot(request: pytest.FixtureRequest, rcdbg_names: "Overlay") -> Iterator[BootKernel]:
    """Boots the kernel under test, as often as the test likes; all of it ends with the test."""
    from rcdbg.errors import RcdbgError
    from rcdbg.testing.machine import tell
    from rcdbg.trace.kinds import parse_kinds
    from rcdbg.trace.story.story import DEFAULT_KINDS, Story, begin

    said, images = _asked(request.config), _images(request.config)
    try:
        name = said.elf().name
    except RcdbgError:
        name = "a kernel"  # a test may have a line of its own; one without says what is missing
    else:
        # One that cannot be read is an error of the kernel's, and no test's failure.
        request.getfixturevalue("rcdbg_image")
    runs: list[Story] = []
    request.node.stash[_RUNS] = runs
    rules = _marked_invariants(request.node)

    def start(
        scenario: str | None = None,
        append: str = "",
        memory: str | None = None,
        deterministic: bool = True,
        events: str | None = None,
        qemu: "Line | None" = None,
    ) -> Story:
        words = ([f"scenario={scenario}"] if scenario else []) + ([append] if append else [])
        boot = said.boot(qemu, request.path.parent, " ".join(words), memory)
        places = request.config.getoption("--rcdbg-programs")
        boot = replace(boot, programs=tuple(Path(place) for place in places))
        boot = replace(boot, deterministic=deterministic, overlay=rcdbg_names)
        kinds = DEFAULT_KINDS if events is None else parse_kinds(events)
        run = begin(boot, images.of(boot.kernel), kinds=kinds, rules=rules)
        runs.append(run)
        tell(boot, run.machine.doubt)
        return run

    yield _Named(start, f"boots {name}")
    for run in runs:
        run.machine.close()


def _asked(config: pytest.Config) -> "Ordered":
    from rcdbg.errors import RcdbgError
    from rcdbg.testing.machine import asked

    try:
        return asked(config)
    except RcdbgError as error:
        pytest.fail(str(error), pytrace=False)


def _images(config: pytest.Config) -> "ReadOnce":
    from rcdbg.testing.machine import ReadOnce

    return config.stash.setdefault(_IMAGES, ReadOnce())


class _Named:
    """A function that says what it is: pytest shows it above each failure."""

    def __init__(self, function: Any, name: str) -> None:
        self._function = function
        self._name = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._function(*arguments, **named)

    def __repr__(self) -> str:
        return f"<{self._name}>"


def _marked_invariants(node: pytest.Item) -> list["Invariant"]:
    """Those of the test's markers, of its class's and of its module's."""
    from rcdbg.trace.story.invariants import SHIPPED, Invariant

    found: dict[str, Invariant] = {}
    for marker in node.iter_markers(INVARIANTS_MARK):
        for rule in marker.args or SHIPPED:
            known = SHIPPED.get(rule) if isinstance(rule, str) else rule
            if not isinstance(known, Invariant):
                have = ", ".join(SHIPPED)
                pytest.fail(f"no invariant {rule!r}: known by name are {have}", pytrace=False)
            found[known.name] = known
    return list(found.values())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """To the report of a failed test, add what the kernels in it did, and where they stand."""
    outcome: Any = yield
    report = outcome.get_result()
    runs = item.stash.get(_RUNS, [])
    if report.failed and report.when != "teardown":
        for number, run in enumerate(runs, 1):
            _add(item, report, run, f"-{number}" if len(runs) > 1 else "")


def _add(item: pytest.Item, report: Any, run: "Story", suffix: str) -> None:
    from rcdbg.testing.report import report as tell
    from rcdbg.testing.report import save

    folder = _folder(item)
    saved = [] if folder is None else save(run, folder, f"{item.name}{suffix}")
    for one in saved:
        kept = f"rcdbg_{one.what}{suffix}", str(one.path)
        report.user_properties.append(kept)
        item.user_properties.append(kept)  # for the report of the teardown, which JUnit takes
    title = f"kernel{suffix} {run.boot.kernel.name} {run.boot.append}".rstrip()
    text = tell(run, saved, [Path(one) for one in item.config.getoption("--rcdbg-sources")])
    add = getattr(report.longrepr, "addsection", None)
    if add is None:
        report.sections.append((title, text))
    else:
        # Part of the failure itself: so it is in JUnit files, too.
        add(title, text, "─")


def _folder(item: pytest.Item) -> Path | None:
    """Where to save: --rcdbg-artifacts, else the test's own temporary folder; None for nowhere."""
    named = item.config.getoption("--rcdbg-artifacts")
    if named is not None:
        return Path(named) if named else None
    try:
        path = item._request.getfixturevalue("tmp_path")  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001
        # Too late for a fixture: then there is no folder.
        return None
    return Path(path)
