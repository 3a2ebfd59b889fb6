"""The recorder without stops: a damaged cache, a slow reader, a kernel that has gone astray."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcdbg.image.elf import Image
from rcdbg.machine.host.deadline import Deadline
from rcdbg.machine.qemu.log_pipe import LogPipe
from rcdbg.riscv.code import csr_written, instructions
from rcdbg.trace.moment import TIME_OVER, Backend
from rcdbg.trace.observers.scan import scan
from rcdbg.trace.recorders import firmware, log_recorder
from rcdbg.trace.recorders.firmware import Firmware
from rcdbg.trace.recorders.log_recorder import LogRecorder
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.run import Boot
from rcdbg.trace.until import after_ticks
from rcdbg.trace.wanted import Wanted
from tests.support.places import vector

SECONDS = 60
STVEC = 0x105
PUTCHAR = 1
BREAKPOINT, INSTRUCTION_PAGE_FAULT = 3, 12
MANY = 2000
"""Traps: more than the log's pipe and the reader's buffer hold."""
FAST = "interval=100000"
GUEST_TICKS = 15_000_000
DAMAGED = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "another format": '{"format": 99, "machines": {}}',
    "no machines": '{"format": 1}',
    "machines that are none": '{"format": 1, "machines": {"KEY": 3}}',
    "a row without an address": '{"format": 1, "machines": {"KEY": {"mtvec": null}}}',
    "not ASCII": '{"format": 1, "machines": "\u00e4"}',
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which firmware is remembered, empty so far, by nobody in this process either."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(firmware, "_known", {})
    folder = tmp_path / "rcdbg"
    folder.mkdir()
    return folder / "firmware.json"


def printed(boot: Boot, image: Image) -> tuple[str, LogRecorder]:
    """What the firmware was asked to print, by the log."""
    with LogRecorder(boot, image) as recorder:
        recorder.watch(scan(image).ecalls)
        seen = [moment.registers for moment in recorder.moments()]
        return "".join(chr(r.x[10] & 0xFF) for r in seen if r.x[17] == PUTCHAR), recorder


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_cache_is_made_anew(
    cache: Path, rcdbg_kernel: Path, rcdbg_image: Image, damage: str
) -> None:
    cache.write_text(damage, "utf-8")
    found = firmware.firmware(Boot(rcdbg_kernel).config(), rcdbg_image)
    (row,) = json.loads(cache.read_text("ascii"))["machines"].values()
    assert Firmware(**row) == found
    assert found.mtvec
    assert found.digest


def test_firmware_that_was_changed_is_looked_at_again(
    cache: Path, rcdbg_kernel: Path, rcdbg_image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = Boot(rcdbg_kernel, f"scenario=threads {FAST}")
    right = firmware.firmware(boot.config(), rcdbg_image)
    document = json.loads(cache.read_text("ascii"))
    for row in document["machines"].values():
        row |= {"mtvec": right.mtvec + 0x40, "digest": "0" * 64}
    cache.write_text(json.dumps(document), "ascii")
    monkeypatch.setattr(firmware, "_known", {})
    text, recorder = printed(boot, rcdbg_image)
    assert recorder.firmware == right
    assert text
    assert recorder.console.replace("\r\n", "\n").endswith(text)
    (row,) = json.loads(cache.read_text("ascii"))["machines"].values()
    assert Firmware(**row) == right


def test_a_reader_that_waits_makes_the_guest_wait_and_loses_nothing(
    rcdbg_kernel: Path, rcdbg_image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = Boot(rcdbg_kernel, f"scenario=threads {FAST}", deterministic=True)
    whole, _ = printed(boot, rcdbg_image)
    limit = 64 << 10
    monkeypatch.setattr(log_recorder, "MAX_WAITING", limit)
    monkeypatch.setattr(log_recorder, "FAST_BYTES", log_recorder.CLOSE_BYTES)
    with LogRecorder(boot, rcdbg_image, pace="fast") as recorder:
        recorder.watch(scan(rcdbg_image).ecalls)
        moments = recorder.moments()
        first = next(moments)
        assert until_full(recorder, limit) <= limit + log_recorder.CLOSE_BYTES
        # Only what is on its way is ahead of us: most of the kernel's output is not there yet.
        assert not recorder.console.replace("\r\n", "\n").endswith(whole)
        seen = [first.registers, *(moment.registers for moment in moments)]
        assert (recorder.lost, recorder.strange, recorder.exit_status) == (0, 0, 0)
    assert "".join(chr(r.x[10] & 0xFF) for r in seen if r.x[17] == PUTCHAR) == whole


def until_full(recorder: LogRecorder, limit: int) -> int:
    """Bytes that wait for us once there are as many as may be."""
    deadline, log = Deadline(SECONDS), recorder._log
    assert isinstance(log, LogPipe)
    with log._changed:
        assert log._changed.wait_for(lambda: log._kept >= limit, deadline.remaining)
        # The reader waits on the same condition, so there is no more to come.
        return log._kept


def vectors_set(image: Image) -> Iterator[tuple[int, int]]:
    """Where the kernel writes stvec: physical address and encoding."""
    for symbol in image.symbols:
        code = (image.read(symbol.address, symbol.size) or b"") if symbol.kind == "code" else b""
        for address, encoding in instructions(code, symbol.address):
            physical = image.physical(address)
            if csr_written(encoding) == STVEC and physical is not None:
                yield physical, encoding


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_kernel_whose_stvec_is_nonsense_can_be_recorded_and_ended(
    rcdbg_kernel: Path, rcdbg_image: Image, deterministic: bool
) -> None:
    boot = Boot(rcdbg_kernel, f"scenario=breakpoint {FAST}", deterministic=deterministic)
    trap_vector = vector(rcdbg_image)
    text = ""
    traps = []
    with LogRecorder(boot, rcdbg_image) as recorder:
        recorder.watch([trap_vector, *scan(rcdbg_image).ecalls])
        ram = recorder.qemu.ram
        places = list(vectors_set(rcdbg_image))
        assert places
        for physical, encoding in places:
            # The same instruction with x0 for its source: traps go to address 0, for ever.
            struct.pack_into("<I", ram.memory, physical - ram.base, encoding & ~(31 << 15))
        for moment in recorder.moments():
            registers = moment.registers
            if registers.pc == trap_vector:
                traps.append((registers.csrs["scause"], registers.csrs["sepc"]))
            elif registers.x[17] == PUTCHAR:
                text += chr(registers.x[10] & 0xFF)
            if len(traps) == MANY:
                break
        assert (recorder.strange, recorder.lost) == (0, 0)
    # The kernel's own ebreak, and then nothing but attempts to execute what is not mapped.
    assert traps[0][0] == BREAKPOINT
    assert rcdbg_image.symbols.at(traps[0][1]) is not None
    assert set(traps[1:]) == {(INSTRUCTION_PAGE_FAULT, 0)}
    assert recorder.console.replace("\r\n", "\n").endswith(text)
    assert text.endswith("\n")


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("backend", ["log", "held"])
def test_guest_time_ends_though_the_kernel_is_silent(
    rcdbg_kernel: Path, backend: Backend, deterministic: bool
) -> None:
    append = "scenario=preempt interval=1000000000000"
    boot = Boot(rcdbg_kernel, append, deterministic=deterministic)
    until = after_ticks(GUEST_TICKS)
    kinds = ("thread_add", "trap_enter", "trap_leave")
    with record(boot, Wanted(kinds, until=until, backend=backend)) as recording:
        events = list(recording)
    kinds_seen = [event.kind for event in events]
    expected = [*["thread_add"] * 3, "trap_leave"]
    # Without a clock of instructions, a busy host may leave the kernel no time to come so far.
    assert kinds_seen == (expected if deterministic else expected[: len(kinds_seen)])
    assert recording.end is not None
    assert recording.end.why == TIME_OVER
    if kinds_seen == expected:
        # Who goes on can be read from memory while the guest waits there.
        assert bool(events[-1].marks) == (backend == "log")
