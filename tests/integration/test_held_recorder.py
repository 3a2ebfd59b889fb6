"""The recorder at which the guest waits: its memory, against stops and what the kernel counts."""

import hashlib
import re
from itertools import islice
from pathlib import Path

import pytest

from rcdbg.errors import MachineError
from rcdbg.image.elf import Image
from rcdbg.machine.qemu.config import LogConfig, QemuConfig
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.machine.qemu.ram import GuestRam
from rcdbg.riscv.code import instructions
from rcdbg.trace.recorders.log_recorder import LogRecorder
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot
from rcdbg.trace.wanted import Wanted
from tests.support.places import vector

UNDISTURBED, FAST = "interval=100000000", "interval=100000"
MOMENTS, TICKS = 100, 9
ENDINGS = ("Mapping::map_one", "::dealloc", "::add_thread")
LOAD_ZERO_T0 = 0x4281
A0, A1 = 10, 11
Instant = tuple[int, tuple[int, ...], str]


def kernel_memory(image: Image, ram: GuestRam) -> str:
    """A digest of all that the kernel's segments have in memory, but for what the clock said."""
    (clock,) = (s for s in image.symbols if s.path.endswith("timer::NEXT_TIMEOUT"))
    at = image.physical(clock.address)
    assert at is not None
    found = hashlib.sha1(usedforsecurity=False)
    for segment in image.segments:
        start = image.physical(segment.vaddr)
        if start is not None and segment.memory_size:
            end = start + segment.memory_size
            for first, last in ((start, min(at, end)), (max(start, at + clock.size), end)):
                found.update(ram.memory[first - ram.base : max(first, last) - ram.base])
    return found.hexdigest()


@pytest.mark.every_kernel
@pytest.mark.parametrize("scenario", ["frames", "threads"])
def test_all_memory_is_as_it_is_when_the_machine_is_stopped_there(
    rcdbg_kernel: Path, rcdbg_image: Image, scenario: str
) -> None:
    boot = Boot(rcdbg_kernel, f"scenario={scenario} {UNDISTURBED}")
    places = [
        *(s.address for s in rcdbg_image.symbols if s.path.endswith(ENDINGS)),
        vector(rcdbg_image),
    ]
    held: list[Instant] = []
    with LogRecorder(boot, rcdbg_image, pace="held") as recorder:
        recorder.watch(places)
        for moment in islice(recorder.moments(), MOMENTS):
            memory = kernel_memory(rcdbg_image, recorder.qemu.ram)
            held.append((moment.registers.pc, moment.registers.x, memory))
            assert moment.memory_is_current()
        assert (recorder.strange, recorder.lost) == (0, 0)
    assert not moment.memory_is_current()
    stopped: list[Instant] = []
    with StubRecorder(boot) as stub:
        stub.watch(places)
        for moment in islice(stub.moments(), MOMENTS):
            memory = kernel_memory(rcdbg_image, stub.run.qemu.ram)
            stopped.append((moment.registers.pc, moment.registers.x, memory))
    assert held == stopped
    assert len({memory for *_, memory in held}) > len(held) // 2 > 10


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_loop_that_timers_interrupt_is_seen_once_in_each_round(
    rcdbg_kernel: Path, rcdbg_image: Image, deterministic: bool
) -> None:
    """Each thread counts its rounds, in memory alone; most timers expire while the hart waits."""
    (spin,) = (s for s in rcdbg_image.symbols if s.path == "spin_with_pattern")
    code = rcdbg_image.read(spin.address, spin.size) or b""
    _, loop = (a for a, e in instructions(code, spin.address) if e == LOAD_ZERO_T0)
    # Where no time goes by while the hart waits, many rounds fit into a short one.
    append = f"scenario=preempt ticks={TICKS} interval={4_000 if deterministic else 200_000}"
    boot = Boot(rcdbg_kernel, append, deterministic=deterministic)
    rounds: dict[int, int] = {}
    traps = 0
    with LogRecorder(boot, rcdbg_image, pace="held") as recorder:
        recorder.watch([loop, vector(rcdbg_image)])
        for moment in recorder.moments():
            if moment.registers.pc != loop:
                traps += 1
                continue
            thread, counter = moment.registers.x[A0], moment.registers.x[A1]
            physical = rcdbg_image.physical(counter)
            assert physical is not None
            count = int.from_bytes(recorder.target.read_phys(physical, 8), "little")
            assert count == rounds.get(thread, 0) + 1
            rounds[thread] = count
        repeats, console = recorder.repeats, recorder.console
    assert traps == TICKS
    assert repeats > 0 or deterministic
    told = re.findall(r"thread (\d+): \d+ ticks, (\d+) rounds", console)
    assert {int(thread) for thread, _ in told} == set(rounds)
    # A thread may have counted its last round, and not have come to the place behind that.
    assert all(int(count) - rounds[int(thread)] in (0, 1) for thread, count in told)


def test_text_that_arguments_point_to_is_what_the_console_shows(rcdbg_kernel: Path) -> None:
    boot = Boot(rcdbg_kernel, f"scenario=threads {FAST}")
    with record(boot, Wanted(("hit",), ("*Stdout*::write_str",))) as recording:
        assert recording.header.backend == "held"
        calls = list(recording)
        recorder = recording._recorder
        assert isinstance(recorder, LogRecorder)
        console = recorder.console.replace("\r\n", "\n")
    assert not [mark for call in calls for mark in call.marks]
    text = "".join(str(call.fields["arguments"]["text"]) for call in calls)
    assert "scenario threads passed" in text
    assert console.endswith(text)


def test_a_qemu_that_does_not_start_says_why(rcdbg_kernel: Path) -> None:
    config = QemuConfig(rcdbg_kernel, cpu="6502", log=LogConfig(("int",), holds=True))
    with pytest.raises(MachineError, match="6502"):
        Qemu(config)
