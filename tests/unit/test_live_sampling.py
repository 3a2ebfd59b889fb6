"""Sampling a machine that runs: what is given is one moment of it, and said to be so."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.image.elf import Image, load_image
from rcdbg.machine.qemu.live import Pause
from rcdbg.model.kernel import Kernel
from rcdbg.trace.story.live import LIVE_TRIES, Guest, Sample, sample
from tests.unit.image import build

BASE, PAGES, PAGE = 0x8000_0000, 64, 4096


class Busy:
    """A machine that writes its count into all its pages: between any two reads of memory as
    long as `restless` says so. `count` is in the register a0 too.
    """

    def __init__(self, restless: Callable[[int], bool]) -> None:
        self.ram = Ram(BASE, PAGES * PAGE)
        self.count = self.reads = self.stops = 0
        self._restless = restless
        self._held = False

    def _tick(self) -> None:
        self.reads += 1
        if not self._held and self._restless(self.reads):
            self.count += 1

    def read_phys(self, address: int, size: int) -> bytes:
        self._tick()
        if address < BASE or address + size > self.ram.end:
            raise MemoryReadError(address, size, "not in RAM")
        word = self.count.to_bytes(8, "little")
        return (word * (size // 8 + 1))[:size]

    def registers(self) -> Registers:
        self._tick()
        return Registers(0, (*[0] * 10, self.count, *[0] * 21), {"satp": 0})

    @contextlib.contextmanager
    def paused(self) -> Iterator[Pause]:
        self._held, self.stops = True, self.stops + 1
        now = self.registers()
        pause = Pause(lambda: now)
        yield pause
        self._held, pause.seconds = False, 0.001

    @property
    def guest(self) -> Guest:
        return Guest(self, self.registers, self.paused)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    path = tmp_path / "os"
    path.write_bytes(build.kernel().bytes())
    return load_image(path)


def counts(kernel: Kernel) -> set[int]:
    """The count in some pages and in a0: one number, if all are from one moment."""
    read = kernel.target.read_phys
    seen = {int.from_bytes(read(BASE + page * PAGE, 8), "little") for page in (0, 3, 9, 63)}
    return seen | {kernel.registers.x[10]}


def test_a_machine_at_rest_is_not_stopped(image: Image) -> None:
    busy = Busy(lambda reads: False)
    found, how = sample(image, busy.guest, counts)
    assert found == {0}
    assert busy.stops == 0
    assert how.stopped_seconds is None
    assert "did not change" in how.text
    assert how.document["how"] == "unchanged"


def test_a_machine_that_never_rests_is_stopped_once(image: Image) -> None:
    busy = Busy(lambda reads: True)
    found, how = sample(image, busy.guest, counts)
    assert len(found) == 1
    assert busy.stops == 1
    assert how.stopped_seconds == 0.001
    assert how.tries == LIVE_TRIES
    assert "stopped for 1.0 ms" in how.text
    assert how.document["stopped_ms"] == 1.0


@pytest.mark.parametrize("every", range(2, 40))
def test_a_machine_that_rests_at_times(image: Image, every: int) -> None:
    busy = Busy(lambda reads: reads % every == 0)
    found, how = sample(image, busy.guest, counts)
    assert len(found) == 1
    assert (busy.stops == 0) == (how.stopped_seconds is None)


@pytest.mark.parametrize(("seconds", "late"), [(0.0019, False), (0.002, True), (0.0071, True)])
def test_a_stop_that_took_too_long_is_said_to_be(seconds: float, late: bool) -> None:
    text = Sample(5, seconds, 1, seconds).text
    assert f"stopped for {seconds * 1000:.1f} ms" in text
    assert ("longer than 2 ms" in text) == late


def test_pages_that_are_found_in_the_copy_only(image: Image) -> None:
    """What is read depends on what was read: the way through memory is another each time."""
    busy = Busy(lambda reads: True)

    def wander(kernel: Kernel) -> set[int]:
        found: set[int] = set()
        page = 0
        for _ in range(3):
            try:
                word = int.from_bytes(kernel.target.read_phys(BASE + page * PAGE, 8), "little")
            except MemoryReadError:
                return found  # as a decoder does: the rest is a Problem
            found.add(word)
            page = word * 7 % PAGES
        return found | {kernel.registers.x[10]}

    found, how = sample(image, busy.guest, wander)
    assert len(found) == 1
    assert busy.stops >= 1
    assert how.stops == busy.stops
    assert how.stopped_seconds == pytest.approx(0.001 * busy.stops)


def test_what_is_no_memory_ends_the_search_too(image: Image) -> None:
    busy = Busy(lambda reads: False)

    def outside(kernel: Kernel) -> str:
        with pytest.raises(MemoryReadError) as caught:
            kernel.target.read_phys(0x1000_0000, 8)
        return caught.value.why

    assert sample(image, busy.guest, outside)[0] == "not in RAM"
    assert busy.stops == 0
