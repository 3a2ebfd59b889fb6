"""`rcdbg grade SUITE KERNEL...`: a suite of tests over many kernels at once."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rcdbg.cli.door import progress, remark
from rcdbg.errors import OutputError, UsageError

if TYPE_CHECKING:
    from rcdbg.machine.host.suite import Grade

_SECONDS = 600.0


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "grade",
        help="run a suite of pytest tests over many kernels at once",
        description="Run the tests in SUITE over each KERNEL, each in a pytest process of its own,"
        " and print a row for each. Exit status: 0 if all passed, 1 if not, 2 for what cannot be"
        " graded at all. After `--` may come the QEMU command line that boots them: the kernel"
        " that it names is replaced by each KERNEL, all other files stay yours.",
    )
    parser.add_argument("suite", metavar="SUITE", type=Path, help="a folder or file of tests")
    parser.add_argument("kernels", metavar="KERNEL", nargs="+", help="ELFs to test")
    parser.add_argument(
        "-n", type=int, metavar="N", dest="workers", help="at once (default: one for each core)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the grades as JSON")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the grades as JUnit XML")
    parser.add_argument(
        "--artifacts", metavar="DIR", type=Path, help="keep failed tests' snapshots and traces"
    )
    parser.add_argument(
        "--profile", metavar="FILE", type=Path, help="TOML with the names that these kernels use"
    )
    parser.add_argument(
        "--sources",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="whose files reports may quote lines of (default: each kernel's own folder)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        default=_SECONDS,
        help=f"of host time for each kernel (default: {_SECONDS:g})",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.grading.files import write_json, write_junit
    from rcdbg.machine.host.suite import Grade
    from rcdbg.views.grade import view
    from rcdbg.views.render import show

    _check(arguments)
    kernels: list[str] = arguments.kernels
    with _Broken() as broken:
        found, interrupted = _grade_all(arguments)
    missing = "interrupted" if interrupted else "its worker ended without a word"
    grades = [
        found.get(number) or Grade(kernel, "error", None, 0.0, missing)
        for number, kernel in enumerate(kernels)
    ]
    # First of all what cannot be lost to a full disk; then as many of the files as can be.
    show(view(grades))
    sys.stdout.flush()
    failures = []
    for path, write in ((arguments.json, write_json), (arguments.junit, write_junit)):
        try:
            if path:
                write(path, str(arguments.suite), grades)
        except OutputError as error:
            failures.append(str(error))
    if failures:
        raise OutputError("; ".join(failures))
    if interrupted:
        return 128 + (broken.by or signal.SIGINT)
    return 0 if all(grade.outcome == "passed" for grade in grades) else 1


class _Broken:
    """While it is open, SIGTERM and SIGHUP are to pytest what Ctrl-C is: it ends in good order."""

    _SIGNALS = (signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.by: int | None = None
        self._before: list[Any] = []

    def _take(self, number: int, _: object) -> None:
        if self.by is None:  # a second one would break off the end
            self.by = number
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._take) for number in self._SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(self._SIGNALS, self._before, strict=True):
            signal.signal(number, handler)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what no kernel could be blamed for."""
    if arguments.own_line is not None:
        from rcdbg.machine.qemu.own_line import parse

        for change in parse(arguments.own_line).changes:
            remark(f"QEMU's {change}")
    if arguments.profile:
        from rcdbg.kernels.reading import load_overlay

        load_overlay(arguments.profile)
    if not arguments.suite.exists():
        raise UsageError(f"no tests at {arguments.suite}: name a folder or a file of tests")
    if arguments.timeout <= 0:
        raise UsageError(f"--timeout {arguments.timeout:g}: more than 0 seconds")
    if arguments.workers is not None and arguments.workers < 0:
        raise UsageError(f"-n {arguments.workers}: not less than 0")
    for folder in arguments.sources:
        if not folder.is_dir():
            raise UsageError(f"--sources {folder}: no such folder")
    for file in filter(None, (arguments.json, arguments.junit)):
        if not file.absolute().parent.is_dir():
            raise UsageError(f"cannot write {file}: there is no folder {file.parent}")
    if arguments.artifacts:
        try:
            arguments.artifacts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write to {arguments.artifacts}: {error.strerror}") from error


def _grade_all(arguments: argparse.Namespace) -> tuple[dict[int, "Grade"], bool]:
    """The grades by the number of the kernel, and whether the user broke it off."""
    import json

    import pytest

    from rcdbg.machine.host.session import scratch, sweep
    from rcdbg.testing.grade import SUFFIX, Grades

    kernels: list[str] = arguments.kernels
    workers = len(os.sched_getaffinity(0)) if arguments.workers is None else arguments.workers
    workers = min(workers, len(kernels))
    done = 0

    def tell(grade: "Grade") -> None:
        nonlocal done
        done += 1
        said = f"[{done}/{len(kernels)}] {grade.kernel}: {grade.outcome}, {grade.seconds:.1f} s"
        progress(said)

    grades = Grades(kernels, tell)
    sweep()
    with scratch() as folder:
        order = folder / f"kernels{SUFFIX}"
        artifacts = arguments.artifacts and str(arguments.artifacts.absolute())
        profile = arguments.profile and str(arguments.profile.absolute())
        document = {"suite": [str(arguments.suite)], "kernels": kernels, "profile": profile,
                    "qemu": list(arguments.own_line or ()),
                    "sources": [str(folder.absolute()) for folder in arguments.sources],
                    "timeout": arguments.timeout, "artifacts": artifacts}  # fmt: skip
        order.write_text(json.dumps(document))
        (folder / "pytest.ini").write_text("[pytest]\n")
        options = [
            *(str(order), "-c", f"{folder}/pytest.ini", "--rootdir", str(folder), "--noconftest"),
            *("-p", "rcdbg.testing.grade", "-p", "no:cacheprovider", "-p", "no:terminal"),
            *("-p", "no:asyncio"),
        ]
        status = pytest.main([*options, "-n", str(workers)], plugins=[grades])
    return grades.by_number, status == pytest.ExitCode.INTERRUPTED
