"""`rcdbg init`: what was found of the project in this folder, written down to be changed."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from rcdbg.cli.door import remark, tell
from rcdbg.errors import UsageError

_QEMU = """\
# How rcdbg starts the kernel in this folder, when it is started here without a kernel or a QEMU
# command line. All of it is optional; names of files are relative to this folder.

# The QEMU command line, as you would type it. rcdbg adds its own gdb stub, monitor and serial line;
# disks are not written to, unless a drive says snapshot=off.
"""
_BUILD = """
# What builds the kernel, for `rcdbg build` and `rcdbg --build`. Nothing else runs it.
"""
_PROGRAMS = """
# Where the ELFs of the programs in U-mode are: a folder, a file, or a list of them.
# programs = "../user"
"""
_UNKNOWN_QEMU = 'qemu = "qemu-system-riscv64 -machine virt -nographic -bios default -kernel os"'


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "init",
        help="write an rcdbg.toml for the kernel in this folder",
        description="Write an rcdbg.toml that says how the kernel in this folder is started and"
        " built, as far as cargo's runner and the Makefile tell.",
    )
    parser.add_argument("--force", action="store_true", help="write over one that is there")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.project.start import OWN_FILE
    from rcdbg.outputs import write_new, write_whole

    path = Path.cwd() / OWN_FILE
    text, sources = document(Path.cwd())
    try:
        (write_whole if arguments.force else write_new)(path, text.encode())
    except FileExistsError as error:
        raise UsageError(f"{OWN_FILE} is there already: --force writes over it") from error
    tell(f"{OWN_FILE}: {'; '.join(sources)}")
    return 0


def document(folder: Path) -> tuple[str, list[str]]:
    """The file's text, and from where each of its keys is known."""
    from rcdbg.cli.project.crate import project_in
    from rcdbg.cli.project.start import how_it_starts

    sources = []
    qemu, build = f"# {_UNKNOWN_QEMU}\n", '# build = "cargo build --release"\n'
    try:
        start = how_it_starts(folder, own=False)
    except UsageError as error:
        start = None
        remark(str(error))
    if start is not None:
        qemu = f"qemu = {_quoted(shlex.join(start.words))}\n"
        sources.append(f"qemu by {start.source}")
    else:
        sources.append("qemu is not known: fill it in")
    try:
        project = project_in(folder, own=False)
        build = f"build = {_quoted(project.command)}\n"
        sources.append(f"build by {project.source}")
    except UsageError:
        sources.append("build is not known")
    return f"{_QEMU}{qemu}{_BUILD}{build}{_PROGRAMS}", sources


def _quoted(text: str) -> str:
    """A text as a basic string of TOML (TOML 1.0, "String"), which JSON's are too."""
    return json.dumps(text).replace("\x7f", "\\u007F")
