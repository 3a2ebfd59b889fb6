"""`rcdbg build`: the project's own build once more, with debug info, beside the user's."""

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rcdbg.cli.door import remark, tell
from rcdbg.errors import UsageError

_SHOWN = 6


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "build",
        help="build the kernel in this folder once more, with debug info",
        description="Build the kernel in this folder as its project does, but with debug info and"
        " into target/rcdbg: no file of the project is edited, and its own build stays. Then check"
        " that the code is the same. rcdbg uses that debug info wherever the kernel has none.",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.project.crate import project_in
    from rcdbg.image.elf import load_image
    from rcdbg.machine.host.builds import run

    project = project_in(Path.cwd())
    elf = project.elf()
    if elf is None:
        remark(f"by {project.source}, since there is no build yet: {project.command}")
        status = run(project.command, project.folder)
        if status:
            return _failed(project.command, status)
        elf = project.elf()
    if elf is None:
        names = " or ".join(project.programs) or "kernel"
        raise UsageError(f"`{project.command}` built no {names} in {project.target}")
    if load_image(elf).has_debug_info:
        tell(f"{_short(elf)} has debug info: nothing to build")
        return 0
    return build_beside(elf, tell)


def build_first(folder: Path) -> int:
    """What --build does: the project's own build, and the one beside it if there is one.

    Returns the exit status. Raises UsageError where nothing says how the kernel is built.
    """
    from rcdbg.cli.project.crate import project_in
    from rcdbg.image.elf import load_image
    from rcdbg.machine.host.builds import run

    project = project_in(folder)
    remark(f"by {project.source}: {project.command}")
    status = run(project.command, project.folder)
    if status:
        return _failed(project.command, status)
    elf = project.elf()
    if elf is None or project.debug_build() is None or load_image(elf).has_debug_info:
        return 0
    build_beside(elf, remark)
    return 0


def build_beside(elf: Path, say: Callable[[str], None]) -> int:
    """Build with debug info, and say how it compares with that build of the user's.

    Returns the exit status: 0 if either can stand for the other.
    """
    from rcdbg.cli.project.crate import project_in
    from rcdbg.image.elf import load_image
    from rcdbg.image.same_code import difference, place_of_debug_build
    from rcdbg.machine.host.builds import run_with_debug_info

    project = project_in(Path.cwd())
    remark(f"by {project.source}, with debug info: {project.command}")
    status = run_with_debug_info(project.command, project.folder, project.target)
    if status is None:
        raise UsageError(
            f"`{project.command}` had cargo build nothing into {project.target}: say in rcdbg.toml"
            ' what does, as in build = "cargo build --release"'
        )
    if status:
        return _failed(project.command, status)
    made = place_of_debug_build(elf, project.target)
    if not made.is_file():
        found = project.debug_build()
        other = f", but {_short(found)}" if found is not None else ""
        raise UsageError(f"`{project.command}` does not build {_short(elf)}{other}")
    image = load_image(made)
    if not image.has_debug_info:
        raise UsageError(
            f"{_short(made)} has no debug info all the same: a linker script, RUSTFLAGS or"
            " .cargo/config.toml strips it"
        )
    differs = difference(load_image(elf), image)
    if differs.is_none:
        say(f"{_short(made)}: debug info for {_short(elf)}, whose code is the same")
        return 0
    what = "code" if differs.code else "data"
    say(f"{_short(made)} has debug info, but its {what} is not that of {_short(elf)}:")
    for line in [*differs.code, *differs.layout][:_SHOWN]:
        say(f"  {line}")
    say(
        f"if that is older than its sources, build it again ({project.command}); else start the"
        f" one with debug info itself: rcdbg --kernel {shlex.quote(_short(made))}"
    )
    return 1


def _failed(command: str, status: int) -> int:
    remark(f"`{command}` ended with status {status}")
    return status if 0 < status < 256 else 1


def _short(path: Path) -> str:
    here = Path.cwd().resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
