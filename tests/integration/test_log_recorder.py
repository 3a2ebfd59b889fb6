"""The recorder that does not stop the guest, against the console, QEMU's plain log, and stops."""

import gc
import os
import re
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.image.elf import Image
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.machine.stub.client import StubClient
from rcdbg.machine.stub.dialect import STEP_WITH_INTERRUPTS
from rcdbg.riscv.code import instructions
from rcdbg.trace.deterministic import replace_wfi, unstopped
from rcdbg.trace.recorders.log_recorder import LogRecorder, Pace
from rcdbg.trace.run import Boot
from tests.support.busy_host import busy_host
from tests.support.places import vector

ECALL = 0x73
PUTCHAR = 1
FAST = "interval=100000"
SECONDS = 60
RUNS = 20
PACES: tuple[Pace, ...] = ("close", "held")
SAME = ("satp", "stvec", "scause", "sepc", "stval", "sscratch", "sstatus", "sie", "sip")


def calls(image: Image) -> list[int]:
    """Where the kernel's code has an ecall."""
    return [
        address
        for symbol in image.symbols
        if symbol.kind == "code"
        for address, encoding in instructions(
            image.read(symbol.address, symbol.size) or b"", symbol.address
        )
        if encoding == ECALL
    ]


def functions(image: Image, *words: str) -> list[int]:
    return [s.address for s in image.symbols if s.kind == "code" and s.path.endswith(words)]


def record(boot: Boot, image: Image, places: list[int]) -> tuple[list[Registers], LogRecorder]:
    with LogRecorder(boot, image) as recorder:
        recorder.watch(places)
        seen = [moment.registers for moment in recorder.moments()]
        assert (recorder.strange, recorder.lost) == (0, 0)
        return seen, recorder


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("scenario", ["threads", "preempt ticks=5", "sleepers", "fault"])
def test_the_console_is_what_the_kernel_asked_the_firmware_to_print(
    rcdbg_kernel: Path, rcdbg_image: Image, scenario: str, deterministic: bool
) -> None:
    # A busy host may let a fast timer leave no time for the threads themselves.
    interval = FAST if deterministic else "interval=1000000"
    boot = Boot(rcdbg_kernel, f"scenario={scenario} {interval}", deterministic=deterministic)
    seen, recorder = record(boot, rcdbg_image, calls(rcdbg_image))
    text = "".join(chr(r.x[10] & 0xFF) for r in seen if r.x[17] == PUTCHAR)
    # Before that, the firmware prints by itself.
    console = recorder.console.replace("\r\n", "\n")
    assert text
    assert console.endswith(text)
    assert "OpenSBI" in console.removesuffix(text)
    assert recorder.exit_status == 0


@pytest.mark.parametrize("scenario", ["threads", "breakpoint", "fault"])
def test_no_trap_is_missing(
    rcdbg_kernel: Path, rcdbg_image: Image, tmp_path: Path, scenario: str
) -> None:
    boot = Boot(rcdbg_kernel, f"scenario={scenario} {FAST}", deterministic=True)
    seen, _ = record(boot, rcdbg_image, [vector(rcdbg_image)])
    log = tmp_path / "log"
    config = unstopped(boot.config())
    config = replace(config, extra=(*config.extra, "-d", "int", "-D", str(log)))
    with Qemu(config) as qemu:
        replace_wfi(rcdbg_image, qemu.ram.memory, qemu.ram.base)
        qemu.monitor.execute("cont")
        qemu.wait(SECONDS)
    expected = []
    for kind, cause, epc in re.findall(
        r"async:(.), cause:(\w+), epc:0x(\w+)", log.read_text("ascii")
    ):
        # Machine timers and ecalls of S-mode are the firmware's; so is what it does itself.
        if (kind, int(cause, 16)) not in (("1", 7), ("0", 9)) and int(epc, 16) >= 0x80200000:
            expected.append((int(kind) << 63 | int(cause, 16), int(epc, 16)))
    assert [(r.csrs["scause"], r.csrs["sepc"]) for r in seen] == expected != []


def test_the_same_as_stops_show(rcdbg_kernel: Path, rcdbg_image: Image) -> None:
    boot = Boot(rcdbg_kernel, "scenario=breakpoint interval=100000000", deterministic=True)
    ecalls = calls(rcdbg_image)
    places = [
        *(vector(rcdbg_image), *ecalls),
        *functions(rcdbg_image, "::add_thread", "kernel_thread_exit"),
    ]
    seen, _ = record(boot, rcdbg_image, places)
    stops: list[Registers] = []
    # Stops and `sleep=off` do not go together, so the clock is another one here.
    with Qemu(boot.config()) as qemu, StubClient(qemu.gdb_socket) as stub:
        replace_wfi(rcdbg_image, qemu.ram.memory, qemu.ram.base)
        stub.run.set_step_mode(STEP_WITH_INTERRUPTS)
        for place in places:
            stub.insert_breakpoint(place)
        # The last one is the call that ends the machine.
        while len(stops) < len(seen):
            stub.resume()
            assert stub.wait_stop(SECONDS).reason == "breakpoint"
            stops.append(stub.registers())

    def compared(found: list[Registers]) -> list[object]:
        return [(r.pc, r.x, r.privilege, [r.csrs[name] for name in SAME]) for r in found]

    timer = next(at for at, r in enumerate(seen) if r.pc in ecalls and r.x[17] == 0)
    assert compared(seen[:timer]) == compared(stops[:timer]) != []
    # From there on registers hold what the clock said.
    assert [r.pc for r in seen] == [r.pc for r in stops]
    causes = [[(r.csrs["scause"], r.csrs["sepc"]) for r in found] for found in (seen, stops)]
    assert causes[0] == causes[1]
    assert {r.pc for r in seen} >= {
        vector(rcdbg_image),
        *functions(rcdbg_image, "kernel_thread_exit"),
    }


def test_a_loop_with_the_same_registers_in_each_round_is_seen_in_each(
    rcdbg_kernel: Path, rcdbg_image: Image
) -> None:
    """The kernel takes all frames, and a debug build does so with its counters in memory."""
    alloc = rcdbg_image.symbols.address_of("FrameAllocator::alloc")
    assert alloc is not None
    boot = Boot(rcdbg_kernel, "scenario=frames interval=100000000", memory="24M")
    seen, recorder = record(boot, rcdbg_image, [alloc])
    taken = re.search(r"after (\d+) frames", recorder.console)
    assert taken is not None
    last = seen[-(int(taken[1]) + 1) :]
    assert len(last) == int(taken[1]) + 1
    # The very last one is asked for somewhere else.
    assert len({r.sp for r in last[:-1]}) == 1


def test_a_deterministic_run_is_always_the_same(rcdbg_kernel: Path, rcdbg_image: Image) -> None:
    boot = Boot(rcdbg_kernel, f"scenario=sleepers {FAST}", deterministic=True)
    places = [vector(rcdbg_image), *calls(rcdbg_image)]

    def story() -> list[tuple[Registers, int | None]]:
        with LogRecorder(boot, rcdbg_image) as recorder:
            recorder.watch(places)
            return [(moment.registers, moment.ticks) for moment in recorder.moments()]

    first = story()
    assert len({ticks for _, ticks in first}) > 3
    for _ in range(RUNS // 2 - 1):
        assert story() == first
    with busy_host():
        for _ in range(RUNS // 2):
            assert story() == first


@pytest.mark.parametrize("pace", PACES)
def test_a_kernel_that_never_ends_is_ended(
    rcdbg_kernel: Path, rcdbg_image: Image, pace: Pace
) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    boot = Boot(rcdbg_kernel, "scenario=preempt interval=100000")
    with LogRecorder(boot, rcdbg_image, pace=pace) as recorder:
        recorder.watch([vector(rcdbg_image)])
        found = recorder.moments()
        times = [next(found).ticks or 0 for _ in range(5)]
        assert times == sorted(times)
        pid, directory = recorder.qemu.pid, recorder.qemu.directory
        threading.Timer(0.1, recorder.close).start()
        # Nothing but `close` can end this.
        assert all(moment.registers.pc == vector(rcdbg_image) for moment in found)
    assert not Path(f"/proc/{pid}").exists()
    assert not directory.exists()
    # Its view of the guest's memory keeps that, and a descriptor, as long as somebody has it.
    del recorder, found
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    assert not [t for t in threading.enumerate() if t.name == "rcdbg-log"]


@pytest.mark.parametrize("pace", PACES)
def test_a_qemu_that_is_killed_is_no_end_of_the_kernel(
    rcdbg_kernel: Path, rcdbg_image: Image, pace: Pace
) -> None:
    boot = Boot(rcdbg_kernel, "scenario=preempt interval=100000")
    with LogRecorder(boot, rcdbg_image, pace=pace) as recorder:
        recorder.watch([vector(rcdbg_image)])
        found = recorder.moments()
        moment = next(found)
        os.kill(recorder.qemu.pid, signal.SIGKILL)
        with pytest.raises(MachineError, match="killed by signal 9"):
            list(found)
        assert not moment.memory_is_current()


def test_a_slow_consumer_loses_nothing(rcdbg_kernel: Path, rcdbg_image: Image) -> None:
    boot = Boot(rcdbg_kernel, "scenario=preempt ticks=5 interval=100000")
    with LogRecorder(boot, rcdbg_image, pace="fast") as recorder:
        recorder.watch([*calls(rcdbg_image)])
        found = recorder.moments()
        first = next(found)
        # The kernel has come to its end by now, with nobody listening.
        recorder.qemu.wait(SECONDS)
        rest = list(found)
    text = "".join(chr(m.registers.x[10] & 0xFF) for m in [first, *rest] if m.registers.x[17] == 1)
    assert recorder.console.replace("\r\n", "\n").endswith(text)
    assert "scenario preempt passed" in text
