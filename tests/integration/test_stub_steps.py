"""Getting over a breakpoint without a stop: the hart itself is the witness of what that does."""

from pathlib import Path

import pytest

from rcdbg.guest.protocol import Registers
from rcdbg.image.elf import Image
from rcdbg.riscv.code import ECALL, instructions, size_of
from rcdbg.riscv.compute import computed
from rcdbg.riscv.registers import ABI_NAMES, MASK64
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached
from rcdbg.trace.observers.scan import scan
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot, Run

SECONDS = 30
ENOUGH = 400
"""Different instructions that only compute: each build of the kernel has more."""


def encodings(image: Image) -> dict[int, int]:
    """One address for each encoding in the kernel's functions."""
    return {
        encoding: address
        for symbol in image.symbols
        if symbol.kind == "code"
        for address, encoding in instructions(
            image.read(symbol.address, symbol.size) or b"", symbol.address
        )
    }


@pytest.mark.every_kernel
def test_what_is_computed_is_what_the_hart_computes(
    rcdbg_boot: BootKernel, rcdbg_image: Image
) -> None:
    run = rcdbg_boot("threads")
    run.until(reached("rust_main"))
    # Different in each register, and with bit 31 and 63 set in some: signs show.
    names = ["fp" if name == "s0" else name for name in ABI_NAMES]
    for number in range(1, 32):
        run.machine.stub.write_register(names[number], number * 0x8765_4321_0FED_CBA9 & MASK64)
    tried = 0
    for encoding, address in encodings(rcdbg_image).items():
        run.machine.stub.write_register("pc", address)
        before = run.machine.stub.registers()
        expected = after(encoding, before)
        if expected is None:
            continue
        run.machine.stub.step(SECONDS)
        found = run.machine.stub.registers()
        assert (found.pc, found.x) == expected, f"{encoding:#x} at {address:#x}"
        tried += 1
        if tried == ENOUGH:
            break
    assert tried == ENOUGH


def after(encoding: int, before: Registers) -> tuple[int, tuple[int, ...]] | None:
    """pc and x0 to x31 after an instruction that only computes; of others nothing."""
    done = computed(encoding, before.pc, before.x)
    if done is None:
        return None
    x = list(before.x)
    if done.register is not None:
        x[done.register] = done.value
    return done.pc, tuple(x)


def entry(image: Image, function: str) -> tuple[int, int]:
    """A function's address, and its first instruction, which only computes."""
    address = next(s.address for s in image.symbols if s.path.endswith(function))
    code = image.read(address, 4) or b""
    encoding = int.from_bytes(code[: size_of(code[0])], "little")
    assert computed(encoding, address, (0,) * 32) is not None
    return address, encoding


def real_time(kernel: Path, append: str) -> Run:
    """A kernel in real time: where instructions are counted, each is executed."""
    return Run(Boot(kernel, append))


def test_the_instruction_after_a_place_is_a_place_of_its_own(
    rcdbg_kernel: Path, rcdbg_image: Image
) -> None:
    first, encoding = entry(rcdbg_image, "console_putchar")
    with StubRecorder(real_time(rcdbg_kernel, "scenario=threads"), owns=True) as recorder:
        recorder.watch([first, first + size_of(encoding)])
        moments = recorder.moments()
        for _ in range(20):
            at_first, at_second = next(moments).registers, next(moments).registers
            assert at_first.pc == first
            assert (at_second.pc, at_second.x) == after(encoding, at_first)


def test_what_is_changed_at_a_moment_counts(rcdbg_kernel: Path, rcdbg_image: Image) -> None:
    first, encoding = entry(rcdbg_image, "console_putchar")
    printed = []
    with StubRecorder(real_time(rcdbg_kernel, "scenario=threads"), owns=True) as recorder:
        recorder.watch([first])
        moments = recorder.moments()
        for moment in moments:
            printed.append(chr(moment.registers.x[10]))
            recorder.run.stub.write_register("a0", ord("#"))
            if len(printed) == 30:
                break
        # Whoever holds the moment may also have gone on: then nothing is done again.
        stub = recorder.run.stub
        for _ in range(3):
            at_first = next(moments).registers
            assert at_first.pc == first
            stub.step(SECONDS)
            at_second = stub.registers()
            assert (at_second.pc, at_second.x) == after(encoding, at_first)
        console = recorder.run.console
    assert any(letter.isalpha() for letter in printed)
    assert "#" * 25 in console


@pytest.mark.every_kernel
@pytest.mark.parametrize("deterministic", [True, False])
def test_the_call_that_ends_the_machine_is_seen_and_then_its_end(
    rcdbg_kernel: Path, rcdbg_image: Image, deterministic: bool
) -> None:
    append = "scenario=threads threads=1 interval=100000000"
    boot = Boot(rcdbg_kernel, append, deterministic=deterministic)
    calls = scan(rcdbg_image).ecalls
    with Run(boot, rcdbg_image) as run:
        for place in calls:
            run.stub.insert_breakpoint(place)
        reasons: list[str] = []
        while not reasons or reasons[-1] == "breakpoint":
            run.stub.resume()
            reasons.append(run.stub.wait_stop(SECONDS).reason)
        assert reasons[-1] == "exited"
        assert run.qemu.wait(SECONDS) == 0
        stop, registers, _ = run.stub.run.wait_stop_reading(SECONDS, ())
        assert (stop.reason, registers) == ("exited", None)
    with StubRecorder(boot) as recorder:
        recorder.watch(calls)
        last = list(recorder.moments())[-1].registers
        assert int.from_bytes(rcdbg_image.read(last.pc, 4) or b"", "little") == ECALL
        assert (recorder.ended, recorder.exit_status) == ("the machine was shut down", 0)
        assert len(reasons) > 100
