"""The project in the user's own folder: what builds its kernel, and where the builds are.

In this order: `build` in rcdbg.toml; the target of a Makefile that runs `cargo build`; cargo.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rcdbg.cli.project.start import build_of_project, how_it_starts
from rcdbg.errors import RcdbgError, UsageError
from rcdbg.image.same_code import BESIDE
from rcdbg.machine.host.builds import cargo_metadata
from rcdbg.machine.host.dry_run import would_run
from rcdbg.machine.qemu.own_line import parse
from rcdbg.trace.own_boot import elf_booted

_MANIFEST = "Cargo.toml"
_BUILDING, _STARTING = ("build", "kernel", "all"), ("run", "qemu")
_CRATES = (".", "os", "kernel")
_CARGO_BUILD = re.compile(r"\bcargo\b[^;&|]*\s(?:build|b|rustc)\b")
_PROFILES = ("debug", "release")


@dataclass(frozen=True, slots=True)
class Project:
    """A kernel that cargo builds.

    `command` is what the user builds it with, as for a shell, in `folder`; `target` is cargo's
    target folder; `programs` are the names that its ELF may have.
    """

    folder: Path
    command: str
    source: str
    target: Path
    programs: tuple[str, ...]

    def elf(self) -> Path | None:
        """The user's own build that is started, else the newest; None before the first."""
        try:
            start = how_it_starts(self.folder)
            if start is not None:
                elf = elf_booted(parse(start.words, self.folder)).resolve()
                if elf.is_relative_to(self.target) and not self._is_ours(elf):
                    return elf
        except RcdbgError:
            pass  # not built yet, or not by this project
        return _newest(elf for elf in self._built(self.target) if not self._is_ours(elf))

    def debug_build(self) -> Path | None:
        """The newest build with debug info."""
        return _newest(self._built(self.target / BESIDE))

    def _is_ours(self, elf: Path) -> bool:
        return elf.is_relative_to(self.target / BESIDE)

    def _built(self, target: Path) -> Iterator[Path]:
        """`TRIPLE/PROFILE/NAME`, or `PROFILE/NAME` without a triple."""
        for name in self.programs:
            for pattern in (f"*/{name}", f"*/*/{name}"):
                yield from (elf.resolve() for elf in target.glob(pattern) if elf.is_file())


def project_in(folder: Path, *, own: bool = True) -> Project:
    """The project there; without `own`, rcdbg.toml does not count.

    Raises UsageError where nothing says how its kernel is built.
    """
    crate = next((folder / c for c in _CRATES if (folder / c / _MANIFEST).is_file()), None)
    known = cargo_metadata(crate) if crate is not None else None
    if crate is None or known is None:
        raise UsageError(
            f"no kernel that cargo builds in {folder}: go where its {_MANIFEST} is"
            f"{'' if crate is None else ', which `cargo metadata` has to understand'}"
        )
    folder, target = folder.resolve(), Path(known["target_directory"]).resolve()
    packages = known["packages"]
    mine = [p for p in packages if Path(p["manifest_path"]).parent.resolve() == crate.resolve()]
    names = tuple(
        target["name"]
        for package in mine or packages
        for target in package["targets"]
        if "bin" in target["kind"]
    )
    found = Project(folder, "", "", target, names)
    command, source = _command(found, crate, own=own)
    return Project(folder, command, source, target, names)


def _command(project: Project, crate: Path, *, own: bool) -> tuple[str, str]:
    folder = project.folder
    said = build_of_project(folder) if own else None
    if said is not None:
        return said, "rcdbg.toml"
    printed = {name: would_run(name, folder) for name in (*_BUILDING, *_STARTING)}
    for name in _BUILDING:
        if _CARGO_BUILD.search(printed[name] or ""):
            return f"make {name}", "its Makefile"
    for name in _STARTING:
        lines = [line.lstrip("@- \t") for line in (printed[name] or "").splitlines()]
        if found := [line for line in lines if _CARGO_BUILD.search(line)]:
            return " && ".join(found), f"`make -n {name}`"
    elf = project.elf()
    is_release = elf is not None and "release" in elf.relative_to(project.target).parts
    words = ["cargo", "build", *(["--release"] if is_release else [])]
    if crate.resolve() != folder:
        words += ["--manifest-path", str(crate / _MANIFEST)]
    return shlex.join(words), _MANIFEST


def _newest(elves: Iterator[Path]) -> Path | None:
    return max(elves, key=lambda elf: elf.stat().st_mtime_ns, default=None)
