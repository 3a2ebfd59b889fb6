"""A user's own QEMU command line: what it boots, and what of it has to be done our way.

It is taken as it is. Only what rcdbg has to hold itself (the serial line, the monitor, the gdb
stub, RAM, QEMU's log) is taken out, each with a word of why; all else reaches QEMU as it was typed.
Source: QEMU manual, "Invocation".
"""

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
        "-usb",
        "-enable-sync-profile",
        "-perfmap",
        "-jitdump",
    }
)
"""Options that take no argument. Of one that is not known here, QEMU itself has to say more."""

_ARGUMENT_MAY_BEGIN_WITH_DASH = frozenset({"-append", "-kernel", "-bios", "-initrd"})

_DEBUGGING = {"-s": "the gdb stub is rcdbg's", "-S": "rcdbg holds the kernel at its start",
              "-gdb": "the gdb stub is rcdbg's"}  # fmt: skip
_OUTPUT = ("-d", "-D", "-dfilter", "-trace")
_ENDLESS = ("-daemonize", "-h", "-help", "-version")
_HELP = ("help", "?")
_DISKS = ("-drive", "-hda", "-hdb", "-hdc", "-hdd", "-sd", "-mtdblock", "-pflash", "-snapshot")
_NO_FIRMWARE = ("none", "default")
_QUIET_SERIAL = ("stdio", "mon:stdio")
_DEFAULT_MEMORY = "128M"
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
    """The file of `-kernel`, or of a `-device loader` if there is no other, or of `-bios`."""
    loader: str | None = None
    """That device's other properties, such as `addr=0x80200000`, if the kernel is loaded by it."""
    memory: str = _DEFAULT_MEMORY
    machine: str | None = None
    """With all its properties; None where the line leaves it to QEMU."""
    cpu: str | None = None
    bios: str | None = None
    append: str = ""
    smp: str | None = None
    """As it is written; None where the line leaves it to the machine."""
    changes: tuple[str, ...] = ()
    folder: Path | None = None
    """Where QEMU is started, if it is not where rcdbg was: its files may have relative names."""

    @property
    def takes_any_cpu(self) -> bool:
        """Whether the machine is QEMU's `virt`; others have processors of their own."""
        return (self.machine or "").removeprefix("type=").split(",")[0] == "virt"

    @property
    def disks(self) -> tuple[Path, ...]:
        """The files of its drives."""
        found: list[str | None] = []
        for option, value in zip(self.words, self.words[1:], strict=False):
            if option in _DISKS and option not in ("-drive", "-snapshot"):
                found.append(value)
            elif option in ("-drive", "-blockdev"):
                said = dict(part.partition("=")[::2] for part in value.split(","))
                found.append(said.get("file") or said.get("filename") or said.get("file.filename"))
        return tuple(dict.fromkeys(_inside(self.folder, name) for name in found if name))

    @property
    def is_firmware(self) -> bool:
        """Whether what `-bios` names is all that is booted: a kernel without a firmware."""
        return self.kernel is not None and self.kernel == _file_of(self.bios, self.folder)


def _file_of(bios: str | None, folder: Path | None) -> Path | None:
    return None if bios is None or bios in _NO_FIRMWARE else _inside(folder, bios)


def _inside(folder: Path | None, name: str) -> Path:
    return Path(name) if folder is None else folder / name


def is_qemu(word: str) -> bool:
    """Whether a command's first word names a QEMU that can boot such a kernel."""
    return Path(word).name.startswith("qemu-system-riscv")


def parse(words: Sequence[str], folder: Path | None = None) -> OwnLine:
    """What a command line of QEMU says, for a QEMU that is started in that folder.

    Raises UsageError for one that is none, or is cut off.
    """
    if not words or not is_qemu(words[0]):
        found = words[0] if words else "nothing"
        raise UsageError(f"after -- comes a QEMU command line, and not {found!r}")
    taken = _Taken(folder)
    for word, value in _options(words[1:]):
        taken.take(word, value)
    return taken.line(words[0])


def _options(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The options as they are written, each with its argument, if it takes one."""
    at = 0
    while at < len(words):
        word, value = words[at], words[at + 1] if at + 1 < len(words) else None
        if not word.startswith("-"):
            raise UsageError(f"QEMU's {word!r} follows no option that takes it")
        option = _name(word)
        may_begin_so = option in _ARGUMENT_MAY_BEGIN_WITH_DASH
        if value is None and may_begin_so:
            raise UsageError(f"QEMU's {option} wants an argument after it")
        if option in _FLAGS or value is None or (value.startswith("-") and not may_begin_so):
            yield word, None
            at += 1
        else:
            yield word, value
            at += 2


def _name(word: str) -> str:
    """An option as QEMU's manual writes it: QEMU takes two dashes, too."""
    return word[1:] if word.startswith("--") else word


class _Taken:
    """What was found so far."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._words: list[str] = []
        self._found: dict[str, str] = {}
        self._changes: list[str] = []
        self._loaders: list[tuple[Path, str, list[str]]] = []
        self._serials = 0
        self._has_disks = False

    def take(self, word: str, value: str | None) -> None:
        """One option as it is written, with its argument."""
        option = _name(word)
        if option in _ENDLESS or value in _HELP:
            said = option if value is None or option in _ENDLESS else f"{option} {value}"
            raise UsageError(f"QEMU's {said} leaves nothing to debug: leave it out")
        self._has_disks = self._has_disks or option in _DISKS
        if value is None:
            self._flag(word)
        elif option in ("-M", "-machine"):
            self._found["machine"] = _merged(self._found.get("machine"), value)
        elif option == "-m":
            self._found["m"], _, more = value.partition(",")
            # What is said of slots adds to the size, which rcdbg gives (QEMU, `merge_lists`).
            self._words += [word, more] if more else []
        elif option in ("-cpu", "-bios", "-append", "-kernel", "-smp"):
            self._found[option[1:]] = value
        elif option == "-device" and value.split(",")[0] == "loader":
            self._loader(value)
        elif option == "-serial":
            self._serial(value)
        elif option in _DEBUGGING:
            self._changes.append(f"{option} {value} is left out: {_DEBUGGING[option]}")
        elif option == "-blockdev":
            self._words += [word, value]
            if not _is_read_only(value):
                self._changes.append(f"-blockdev {value} is written to: only -drive need not be")
        elif option in ("-monitor", "-display", "-vga") or option in _OUTPUT:
            self._dropped(option, value)
        else:
            self._words += [word, value]

    def _flag(self, word: str) -> None:
        option = _name(word)
        if option in _DEBUGGING:
            self._changes.append(f"{option} is left out: {_DEBUGGING[option]}")
        elif option not in ("-nographic", "-curses", "-nodefaults", "-snapshot"):
            self._words.append(word)

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
            self._loaders.append((_inside(self._folder, files[0]), others, ["-device", value]))
        else:
            self._words += ["-device", value]

    def line(self, program: str) -> OwnLine:
        """All of it."""
        kernel, loader = self._found.get("kernel"), None
        path = None if kernel is None else _inside(self._folder, kernel)
        bios = self._found.get("bios")
        for file, others, words in self._loaders:
            if path is None:
                path, loader = file, others
            else:
                self._words += words
        if self._has_disks:
            # A debugger does not write to a student's disk, but where its drive says so.
            self._words.append("-snapshot")
        if "/" in program:
            program = str(_inside(self._folder, program))
        return OwnLine(
            program,
            tuple(self._words),
            path or _file_of(bios, self._folder),
            loader,
            self._found.get("m", _DEFAULT_MEMORY).removeprefix("size="),
            self._found.get("machine"),
            self._found.get("cpu"),
            bios,
            self._found.get("append", ""),
            self._found.get("smp"),
            tuple(self._changes),
            self._folder,
        )


def _merged(before: str | None, value: str) -> str:
    """Two arguments of `-machine`: the later one adds properties, and may name another type."""
    if before is None:
        return value
    kind, _, more = before.partition(",")
    new, _, added = value.partition(",")
    if "=" in new.removeprefix("type="):
        new, added = kind, value
    return ",".join(filter(None, (new, more, added)))


def _is_read_only(blockdev: str) -> bool:
    """Whether nothing is written to it, by its properties (QEMU QAPI, BlockdevOptions)."""
    return any(p in ("read-only=on", "driver=null-co") for p in blockdev.split(","))
