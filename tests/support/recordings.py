"""Runs of a real kernel, kept moment by moment, so that tests need no QEMU to see them again.

`tests/recordings/NAME.jsonl.xz` is made by `tools/make_recordings.py` from the kernel `os.xz` that
is beside it. Its first line says what was booted and where it was looked at. Each other line is a
moment: registers and memory as far as they differ from the moment before; pages that nobody ever
looks at are left out. The last line has what the kernel printed, and how it ended.
"""

import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.image.elf import Image, image_of
from rcdbg.model.kernel import Kernel
from rcdbg.trace.moment import Clock, Moment

FOLDER = Path(__file__).resolve().parents[1] / "recordings"
PAGE = 4096
LINE = 64
"""Bytes of memory that are kept together: all of them if one of them differs."""


@dataclass(slots=True)
class Step:
    """A moment as it is kept: what differs from the one before. `printed` counts characters."""

    ticks: int
    instructions: int
    pc: int
    printed: int
    privilege: int | None
    x: dict[int, int] = field(default_factory=dict)
    csrs: dict[str, int] = field(default_factory=dict)
    memory: dict[int, bytes] = field(default_factory=dict)

    def line(self) -> str:
        """As a line of the file; memory by address, hexadecimal."""
        memory = {f"{address:x}": data.hex() for address, data in self.memory.items()}
        row = (self.ticks, self.instructions, self.pc, self.printed, self.privilege)
        return json.dumps([*row, self.x, self.csrs, memory], separators=(",", ":"))

    @classmethod
    def of(cls, line: str) -> Self:
        """A line of the file."""
        ticks, instructions, pc, printed, privilege, x, csrs, memory = json.loads(line)
        return cls(
            ticks,
            instructions,
            pc,
            printed,
            privilege,
            {int(number): value for number, value in x.items()},
            csrs,
            {int(address, 16): bytes.fromhex(data) for address, data in memory.items()},
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """A whole recording.

    `places` are those at which the kernel was looked at, which shows events of these `kinds`.
    """

    append: str
    kinds: tuple[str, ...]
    ram: Ram
    places: tuple[int, ...]
    steps: tuple[Step, ...]
    console: str
    exit_status: int

    def save(self, path: Path) -> None:
        """Write the file."""
        head = {"append": self.append, "kinds": self.kinds, "ram": [self.ram.start, self.ram.size],
                "places": self.places}  # fmt: skip
        tail = {"console": self.console, "exit_status": self.exit_status}
        lines = (json.dumps(head), *(step.line() for step in self.steps), json.dumps(tail))
        text = "\n".join(lines).encode("ascii")
        path.write_bytes(lzma.compress(text, preset=6))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file."""
        first, *steps, last = lzma.decompress(path.read_bytes()).decode("ascii").split("\n")
        head, tail = json.loads(first), json.loads(last)
        places = tuple(head["places"])
        kept = tuple(map(Step.of, steps))
        kinds = tuple(head["kinds"])
        return cls(head["append"], kinds, Ram(*head["ram"]), places, kept, **tail)


@cache
def recorded(name: str) -> Recorded:
    """The recording with that name."""
    return Recorded.load(FOLDER / f"{name}.jsonl.xz")


@cache
def image() -> Image:
    """The kernel that the recordings are of."""
    return image_of(lzma.decompress((FOLDER / "os.xz").read_bytes()), Path("os"))


class Played:
    """A recording at one of its moments: a `Target`. It starts before the first of them."""

    def __init__(self, recording: Recorded) -> None:
        self.recording = recording
        self.at: Step | None = None
        self._next = 0
        self._x = [0] * 32
        self._csrs: dict[str, int] = {}
        self._pages: dict[int, bytearray] = {}

    @property
    def ram(self) -> Ram:
        """Main memory of the machine, of which there are some pages here."""
        return self.recording.ram

    @property
    def console(self) -> str:
        """What was printed by that moment."""
        over = self._next > len(self.recording.steps)
        printed = len(self.recording.console) if over else self.at.printed if self.at else 0
        return self.recording.console[:printed]

    def forward(self, places: Sequence[int] | None = None) -> bool:
        """Go on to the next moment (None: at any place); False at the end, where it then is."""
        while self._next < len(self.recording.steps):
            step = self.recording.steps[self._next]
            self._next += 1
            self._apply(step)
            if places is None or step.pc in places:
                return True
        self._next = len(self.recording.steps) + 1
        return False

    def _apply(self, step: Step) -> None:
        self.at = step
        for number, value in step.x.items():
            self._x[number] = value
        self._csrs.update(step.csrs)
        for address, data in step.memory.items():
            self.write_phys(address, data)

    def write_phys(self, address: int, data: bytes) -> None:
        """Change memory: a line of a recording does, and a test that damages it."""
        page = self._pages.setdefault(address // PAGE, bytearray(PAGE))
        page[address % PAGE : address % PAGE + len(data)] = data

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError where nothing was kept."""
        parts, at, end = [], address, address + size
        while at < end:
            page = self._pages.get(at // PAGE)
            if page is None:
                raise MemoryReadError(address, size, "that page was not recorded")
            offset = at % PAGE
            parts.append(bytes(page[offset : min(PAGE, offset + end - at)]))
            at += len(parts[-1])
        return b"".join(parts)

    def words_within(self, low: int, high: int) -> list[int]:
        """Where in the pages that were kept a 64-bit word is one of these addresses."""
        return [
            number * PAGE + offset
            for number, page in sorted(self._pages.items())
            for offset in range(0, PAGE, 8)
            if low <= int.from_bytes(page[offset : offset + 8], "little") <= high
        ]

    def registers(self) -> Registers:
        """The registers of that moment."""
        assert self.at is not None, "no moment yet"
        return Registers(self.at.pc, tuple(self._x), dict(self._csrs), self.at.privilege)

    def moment(self) -> Moment:
        """The same for an observer."""
        assert self.at is not None, "no moment yet"
        return Moment(self.registers(), self.at.ticks, self.at.instructions)

    def kernel(self) -> Kernel:
        """The same for decoders."""
        return Kernel.now(image(), self)


class PlayedRecorder:
    """A `Recorder` whose guest is a recording."""

    name = "recording"
    clock: Clock = "exact"
    lost = 0

    def __init__(self, recording: Recorded) -> None:
        self.target = Played(recording)
        self._places: tuple[int, ...] = ()

    def watch(self, places: Sequence[int]) -> None:
        """Look at these places, and only there: the recording has to have been made there."""
        missing = {*places} - {*self.target.recording.places}
        assert not missing, f"nobody looked at {[hex(place) for place in missing]}"
        self._places = tuple(places)

    def moments(self) -> Iterator[Moment]:
        """The moments."""
        while self.target.forward(self._places):
            yield self.target.moment()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""


def memory_of(read: Mapping[int, bytes], before: dict[int, bytes]) -> dict[int, bytes]:
    """The lines of these pages (by number) that differ from those `before`, which is updated."""
    changed: dict[int, bytes] = {}
    for number, page in read.items():
        old = before.get(number)
        if old == page:
            continue
        before[number] = page
        for offset in range(0, PAGE, LINE):
            line = page[offset : offset + LINE]
            if old is None or old[offset : offset + LINE] != line:
                changed[number * PAGE + offset] = line
    return changed


def differing(now: Mapping[Any, int], before: dict[Any, int]) -> dict[Any, int]:
    """The values that differ from those `before`, which is updated."""
    changed = {name: value for name, value in now.items() if before.get(name) != value}
    before.update(changed)
    return changed
