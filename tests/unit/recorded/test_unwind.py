"""Call stacks of recorded moments, judged by the machine code: who calls whom is written there."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import pytest

from rcdbg.image.resolve import resolve
from rcdbg.model.state import StackFrame
from rcdbg.model.threads.call_stacks import read_call_stacks, read_hart_stack
from rcdbg.model.threads.trap import trap_depth
from rcdbg.riscv import code
from rcdbg.trace.observers.scan import pieces
from tests.support.dump import parse_dump
from tests.support.recordings import image, recorded
from tests.unit.recorded.runs import NAMES, THREAD_EXIT, handled, numbers, traps

_JALR, _C_JALR = 0x67, 0x9002


@cache
def calls() -> dict[int, int | None]:
    """Where each call of the kernel returns to: the function that it calls, None for a pointer."""
    found: dict[int, int | None] = {}
    for start, data in pieces(image()):
        for at, encoding in code.instructions(data, start):
            size = code.size_of(encoding)
            is_jalr = size == 4 and encoding & 0xFFF == _JALR | 1 << 7
            if is_jalr or (size == 2 and encoding & 0xF07F == _C_JALR):
                found[at + size] = None
        found |= {jump.returns_to: jump.target for jump in code.jumps(data, start) if jump.links}
    return found


def function_at(address: int) -> int:
    symbol = image().symbols.covering(address)
    assert symbol is not None, f"{address:#x} is in no function"
    return symbol.address


def is_code(address: int) -> bool:
    return any(start <= address < start + len(data) for start, data in pieces(image()))


def check(frames: Sequence[StackFrame]) -> int:
    """Each caller is right behind a call of the function inside it; returns how many there are."""
    real = [frame for frame in frames if not frame.is_inlined]
    seen = 0
    for inner, outer in pairwise(real):
        # One scenario jumps into data: there is nothing but ra to go by.
        assert not inner.is_guess or not is_code(inner.pc.address)
        if inner.is_trap:
            continue
        back = outer.pc.address
        if back == resolve(image(), THREAD_EXIT):
            continue  # nobody calls a thread's function: it finds that address in ra
        assert back in calls(), f"{back:#x} is behind no call"
        target = calls()[back]
        assert target in (None, function_at(inner.pc.address)), f"{back:#x} calls somebody else"
        seen += 1
    for inner, outer in pairwise(real):
        if None not in (inner.cfa, outer.cfa) and not inner.is_trap:
            assert (outer.cfa or 0) >= (inner.cfa or 0), "a stack grows down"
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_each_caller_is_behind_a_call_of_the_function_inside_it(name: str) -> None:
    checked = 0
    for played in traps(name, 6):
        kernel = played.kernel()
        stack = read_hart_stack(kernel)
        assert stack.backtrace.problems == ()
        assert trap_depth(kernel) == 1
        checked += check(stack.backtrace.frames)
        for parked in read_call_stacks(kernel).stacks:
            if parked.backtrace is not None and not parked.thread.is_user:
                assert parked.backtrace.problems == ()
                checked += check(parked.backtrace.frames)
    assert checked > 5


def test_the_hart_came_from_the_place_that_the_kernel_dumps() -> None:
    dump = parse_dump(recorded("preempt").console)
    assert dump.trap is not None
    frames = read_hart_stack(handled("preempt", dump.tick).kernel()).backtrace.frames
    trap = next(n for n, frame in enumerate(frames) if frame.is_trap)
    interrupted = frames[trap + 1]
    assert interrupted.pc.address == dump.trap["sepc"]
    assert interrupted.sp == dump.trap["x"][2]
    assert frames[-1].pc.address == resolve(image(), THREAD_EXIT)


def test_parked_threads_go_on_where_the_kernel_says() -> None:
    dump = parse_dump(recorded("sleepers").console)
    stacks = read_call_stacks(handled("sleepers", dump.tick).kernel()).stacks
    found = {s.thread.id: s.backtrace.frames for s in stacks if s.thread.context and s.backtrace}
    assert {*found} == {*dump.parked}
    for number, frames in found.items():
        said = dump.parked[number or 0]
        assert frames[0].pc.address == said["sepc"]
        assert frames[0].sp == said["x"][2]
        assert frames[-1].pc.address == resolve(image(), THREAD_EXIT)
    # Threads in the same function of the scenario are called from the same place.
    sleepers = {n for n, _ in numbers("sleepers", r"thread (\d+) sleeps until tick (\d+)")}
    assert len(sleepers & {*found}) == 3


def test_a_stack_that_is_overwritten_ends_in_words() -> None:
    """Every saved ra of the interrupted thread leads nowhere: what is inside of it is kept."""
    dump = parse_dump(recorded("preempt").console)
    played = handled("preempt", dump.tick)
    kernel = played.kernel()
    whole = read_hart_stack(kernel).backtrace.frames
    trap = next(n for n, frame in enumerate(whole) if frame.is_trap)
    stack = dump.current["stack"] if dump.current else (0, 0)
    sp = whole[trap + 1].sp or 0
    assert stack[0] < sp < stack[1]
    for address in range(sp, stack[1], 8):
        played.write_phys(kernel.memory.physical(address), (0xBAD0).to_bytes(8, "little"))
    broken = read_hart_stack(played.kernel()).backtrace
    assert broken.frames[: trap + 2] == whole[: trap + 2]
    assert len(broken.frames) < len(whole)
    assert broken.note or broken.problems
