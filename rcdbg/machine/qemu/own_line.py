"""A user's own QEMU command line: what it boots, and what of it has to be done our way.

It is taken as it is. Only what rcdbg has to hold itself (the serial line, the monitor, the gdb
stub, RAM, QEMU's log) is taken out, each with a word of why; all else reaches QEMU as it was typed.
Source: QEMU manual, "Invocation".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rcdbg.errors import UsageError

_FLAGS = frozenset(
    {
        "-h",
        "-help",
        "-version",
        "-nographic",
        "-S",
        "-s",
        "-snapshot",
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-no-shutdown",
        "-daemonize",
        "-full-screen",
        "-enable-kvm",
        "-no-fd-bootchk",
        "-no-acpi",
        "-no-hpet",
        "-only-migratable",
        "-preconfig",
        "-mem-prealloc",
        "-semihosting",
        "-singlestep",
        "-curses",
        "-alt-grab",
        "-ctrl-grab",
        "-no-quit",
        "-portrait",
        "-no-frame",
        "-win2k-hack",
        "-nouserconfig",
        "-audio-help",
        "-old-param",
    }
)
"""Options that take no argument; every other one takes one."""

_DEBUGGING = {"-s": "the gdb stub is rcdbg's", "-S": "rcdbg holds the kernel at its start",
              "-gdb": "the gdb stub is rcdbg's"}  # fmt: skip
_OUTPUT = ("-d", "-D", "-dfilter", "-trace")
_ENDLESS = ("-daemonize", "-h", "-help", "-version")
_DISKS = ("-drive", "-hda", "-hdb", "-sd", "-mtdblock", "-pflash", "-snapshot")
_QUIET_SERIAL = ("stdio", "mon:stdio")
_DEFAULT_MEMORY = "128M"
_VIRT = "virt"
_FIRST_SERIAL = 0


@dataclass(frozen=True, slots=True)
class OwnLine:
    """A QEMU command line, taken apart.

    `words` are those that go on to QEMU as they are, without the program, what is booted, RAM, and
    what rcdbg does itself; `changes` says, a line each, what was left out or done otherwise.
    """

    program: str
    words: tuple[str, ...] = ()
    kernel: Path | None = None
    """The file of `-kernel`, or of a `-device loader` if there is no other."""
    loader: str | None = None
    """That device's other properties, such as `addr=0x80200000`, if the kernel is loaded by it."""
    memory: str = _DEFAULT_MEMORY
    machine: str = _VIRT
    cpu: str | None = None
    bios: str | None = None
    append: str = ""
    harts: int = 1
    changes: tuple[str, ...] = ()


def is_qemu(word: str) -> bool:
    """Whether a command's first word names a QEMU that can boot such a kernel."""
    return Path(word).name.startswith("qemu-system-riscv")


def parse(words: Sequence[str]) -> OwnLine:
    """What a command line of QEMU says; raises UsageError for one that is none, or is cut off."""
    if not words or not is_qemu(words[0]):
        found = words[0] if words else "nothing"
        raise UsageError(f"after -- comes a QEMU command line, and not {found!r}")
    taken = _Taken()
    for option, value in _options(words[1:]):
        taken.take(option, value)
    return taken.line(words[0])


def _options(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The options, each with its argument, if it takes one."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            raise UsageError(f"QEMU's {word!r} follows no option that takes it")
        option = "-" + word.lstrip("-")
        if option in _FLAGS:
            yield option, None
            continue
        value = next(rest, None)
        if value is None:
            raise UsageError(f"QEMU's {option} wants an argument after it")
        yield option, value


class _Taken:
    """What was found so far."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._found: dict[str, str] = {}
        self._changes: list[str] = []
        self._loaders: list[tuple[Path, str, list[str]]] = []
        self._serials = 0
        self._has_disks = False

    def take(self, option: str, value: str | None) -> None:
        """One option, with its argument."""
        if option in _ENDLESS:
            raise UsageError(f"QEMU's {option} leaves nothing to debug: leave it out")
        self._has_disks = self._has_disks or option in _DISKS
        if value is None:
            self._flag(option)
        elif option in ("-M", "-machine"):
            self._found["machine"] = value.removeprefix("type=")
        elif option in ("-m", "-cpu", "-bios", "-append", "-kernel", "-smp"):
            self._found[option[1:]] = value
        elif option == "-device" and value.split(",")[0] == "loader":
            self._loader(value)
        elif option == "-serial":
            self._serial(value)
        elif option in _DEBUGGING:
            self._changes.append(f"{option} {value} is left out: {_DEBUGGING[option]}")
        elif option in ("-monitor", "-display", "-vga") or option in _OUTPUT:
            self._dropped(option, value)
        else:
            self._words += [option, value]

    def _flag(self, option: str) -> None:
        if option in _DEBUGGING:
            self._changes.append(f"{option} is left out: {_DEBUGGING[option]}")
        elif option not in ("-nographic", "-curses", "-nodefaults", "-snapshot"):
            self._words.append(option)

    def _serial(self, value: str) -> None:
        self._serials += 1
        if self._serials - 1 > _FIRST_SERIAL:
            self._words += ["-serial", value]
        elif value not in _QUIET_SERIAL:
            self._changes.append(f"-serial {value} is rcdbg's own: the console shows it")

    def _dropped(self, option: str, value: str) -> None:
        if value not in ("none", "stdio"):
            self._changes.append(f"{option} {value} is left out")

    def _loader(self, value: str) -> None:
        properties = value.split(",")[1:]
        files = [p.removeprefix("file=") for p in properties if p.startswith("file=")]
        others = ",".join(p for p in properties if not p.startswith("file="))
        if len(files) == 1:
            self._loaders.append((Path(files[0]), others, ["-device", value]))
        else:
            self._words += ["-device", value]

    def line(self, program: str) -> OwnLine:
        """All of it."""
        kernel, loader = self._found.get("kernel"), None
        path = None if kernel is None else Path(kernel)
        for file, others, words in self._loaders:
            if path is None:
                path, loader = file, others
            else:
                self._words += words
        if self._has_disks:
            # A debugger does not write to a student's disk, but where its drive says so.
            self._words.append("-snapshot")
        return OwnLine(
            program,
            tuple(self._words),
            path,
            loader,
            _memory(self._found.get("m", _DEFAULT_MEMORY)),
            self._found.get("machine", _VIRT),
            self._found.get("cpu"),
            self._found.get("bios"),
            self._found.get("append", ""),
            _harts(self._found.get("smp", "1")),
            tuple(self._changes),
        )


def _memory(value: str) -> str:
    """The size out of `-m [size=]SIZE[,slots=N,maxmem=SIZE]`."""
    return value.split(",")[0].removeprefix("size=")


def _harts(value: str) -> int:
    """The number out of `-smp [cpus=]N[,...]`; raises UsageError."""
    match = re.match(r"(?:cpus=)?([0-9]{1,4})(?:,|$)", value)
    if match is None:
        raise UsageError(f"QEMU's -smp {value}: write it as -smp N")
    return int(match[1])
