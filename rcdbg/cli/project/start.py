"""How the project in this folder starts its kernel, so that `cd os && rcdbg` needs no option.

In this order: `rcdbg.toml`; the runner that cargo has for the build's target; what `make run` or
`make qemu` would start. Only for the user's own folder: nothing here is asked when kernels are
graded or tested.
"""

import shlex
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcdbg.errors import UsageError
from rcdbg.machine.host.dry_run import would_run
from rcdbg.machine.qemu.own_line import is_qemu

OWN_FILE = "rcdbg.toml"
_MANIFEST, _SETTINGS = "Cargo.toml", ("config.toml", "config")
_PROFILES = ("debug", "release")
_TARGETS = ("run", "qemu")
_MAX_SIZE = 1 << 20
_MAX_LINES = 10_000
_ENDS = frozenset({"&&", "||", ";", "|", "&", ">", "<", "2>", "2>&1"})
"""Words of a shell that end a command."""


@dataclass(frozen=True, slots=True)
class Start:
    """A QEMU command line, and from where it is known."""

    words: tuple[str, ...]
    source: str


def how_it_starts(folder: Path, *, own: bool = True) -> Start | None:
    """How the project in `folder` starts its kernel; None if nothing there says so.

    Without `own`, rcdbg.toml does not count. Raises UsageError for an rcdbg.toml that is none, and
    for a runner whose kernel is not built.
    """
    return (_own(folder) if own else None) or _by_cargo(folder) or _by_make(folder)


def build_of_project(folder: Path) -> str | None:
    """What rcdbg.toml says that builds the kernel: `build`, for a shell; None if it does not.

    Raises UsageError for anything else.
    """
    said = _toml(folder / OWN_FILE) if (folder / OWN_FILE).is_file() else None
    build = (said or {}).get("build")
    if build is not None and (not isinstance(build, str) or not build.strip()):
        raise UsageError(f'{OWN_FILE}: build has to be a command: build = "cargo build --release"')
    return build


def programs_of_project(folder: Path) -> tuple[Path, ...]:
    """Where rcdbg.toml says that the user's programs are: `programs`, a path or a list of them.

    Raises UsageError for anything else.
    """
    said = _toml(folder / OWN_FILE) if (folder / OWN_FILE).is_file() else None
    named = (said or {}).get("programs", [])
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise UsageError(f'{OWN_FILE}: programs has to be a folder: programs = "../user"')
    return tuple(folder / one for one in named)


def _own(folder: Path) -> Start | None:
    path = folder / OWN_FILE
    if not path.is_file():
        return None
    said = _toml(path)
    if said is None:
        raise UsageError(f"{OWN_FILE} is no TOML file")
    if "qemu" not in said:
        return None
    words = _words(said["qemu"])
    if not words or not is_qemu(words[0]):
        wanted = 'qemu = "qemu-system-riscv64 ..."'
        raise UsageError(f"{OWN_FILE}: qemu has to be a command line: {wanted}")
    return Start(words, OWN_FILE)


def _by_cargo(folder: Path) -> Start | None:
    """By `[target.TRIPLE] runner` of the nearest `.cargo/config.toml` (The Cargo Book, 3.4)."""
    manifest = _toml(folder / _MANIFEST)
    if manifest is None:
        return None
    for path in _configurations(folder):
        said = _toml(path) or {}
        triple = _at(said, "build", "target")
        runner = _words(_at(said, "target", str(triple), "runner"))
        if runner and is_qemu(runner[0]):
            kernel = _built(folder, manifest, str(triple))
            return Start((*runner, kernel), f"the runner in {_relative(path, folder)}")
    return None


def _configurations(folder: Path) -> Iterator[Path]:
    for parent in (folder, *folder.resolve().parents):
        for name in _SETTINGS:
            path = parent / ".cargo" / name
            if path.is_file():
                yield path


def _built(folder: Path, manifest: dict[str, Any], triple: str) -> str:
    """The newest build of the package's program; raises UsageError if there is none."""
    programs = manifest.get("bin")
    first = programs[0] if isinstance(programs, list) and programs else None
    name = (first.get("name") if isinstance(first, dict) else None) or _at(
        manifest, "package", "name"
    )
    roots = (folder, *folder.resolve().parents[:2])
    built = [
        elf
        for root in roots
        for profile in _PROFILES
        if (elf := root / "target" / triple / profile / str(name)).is_file()
    ]
    if not built:
        raise UsageError(f"{name} is not built yet: run `cargo build` first, or give --kernel ELF")
    return _relative(max(built, key=lambda elf: elf.stat().st_mtime_ns), folder)


def _by_make(folder: Path) -> Start | None:
    if not any((folder / name).is_file() for name in ("Makefile", "makefile", "GNUmakefile")):
        return None
    for target in _TARGETS:
        printed = would_run(target, folder)
        if printed is not None and (words := _qemu_in(printed)):
            return Start(words, f"`make -n {target}`")
    return None


def _qemu_in(text: str) -> tuple[str, ...]:
    """The last QEMU command line among the shell commands that make prints; empty if none."""
    found: tuple[str, ...] = ()
    for line in text.replace("\\\n", " ").splitlines()[-_MAX_LINES:]:
        try:
            words = shlex.split(line.lstrip("@- \t"))
        except ValueError:
            continue
        at = next((i for i, word in enumerate(words) if is_qemu(word)), None)
        # `qemu-system-riscv64 --version`, as Makefiles ask for, boots nothing.
        if at is not None and {"-machine", "-M", "--machine"} & {*words[at:]}:
            found = tuple(_command(words[at:]))
    return found


def _command(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word in _ENDS:
            return
        yield word


def _toml(path: Path) -> dict[str, Any] | None:
    """What a TOML file says; None if it is none, or cannot be read."""
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(_MAX_SIZE).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _at(said: Any, *keys: str) -> Any:
    for key in keys:
        said = said.get(key) if isinstance(said, dict) else None
    return said


def _words(said: Any) -> tuple[str, ...]:
    """A command line, written as one text or as a list of its words; empty for anything else."""
    if isinstance(said, str):
        try:
            return tuple(shlex.split(said))
        except ValueError:
            return ()
    if isinstance(said, list) and all(isinstance(word, str) for word in said):
        return tuple(said)
    return ()


def _relative(path: Path, folder: Path) -> str:
    try:
        return str(path.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(path)
