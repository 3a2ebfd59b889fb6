"""Call stacks as they are shown, at any width."""

import pytest

from rcdbg.model.state import Backtrace, Problem, StackFrame
from rcdbg.model.threads.call_stacks import CallStack, CallStacks, HartStack
from rcdbg.views.render import render_text
from rcdbg.views.threads import backtrace
from tests.unit.views import samples

STACK = Backtrace(
    (
        StackFrame(samples.HANDLER, 0x1100, 0x1000),
        StackFrame(samples.PARK, 0x1200, 0x1100, is_trap=True, context=0x10F0),
        StackFrame(samples.SPIN, None, 0x1200),
    ),
    "the outermost stack frame: it has no caller",
)


@pytest.mark.parametrize("width", [30, 80, 140])
def test_every_frame_is_there(width: int) -> None:
    text = render_text(backtrace.view(STACK), width=width)
    flat = " ".join(text.split())
    for number in range(3):
        assert f"#{number}" in flat
    assert "interrupted what follows" in flat or width < 40
    assert max(len(line) for line in text.splitlines()) <= width


def test_inlined_calls_are_marked() -> None:
    frames = (StackFrame(samples.PARK, 1, 1, is_inlined=True), StackFrame(samples.SPIN, 1, 1))
    lines = render_text(backtrace.view(Backtrace(frames, "end")), width=140).splitlines()
    assert "inlined" in lines[0]
    assert hex(samples.PARK.address) not in lines[0]
    assert "inlined" not in lines[1]
    assert hex(samples.SPIN.address) in lines[1]


def test_the_middle_of_a_long_one_is_left_out() -> None:
    frames = tuple(StackFrame(samples.SPIN, n, n) for n in range(500))
    text = render_text(backtrace.view(Backtrace(frames, "end")), width=100)
    assert len(text.splitlines()) == 48 + 2
    assert "452 stack frames left out" in text
    assert "#0 " in text
    assert "#499" in text


def test_hostile_text_and_problems() -> None:
    place = samples.ruined().trap.context
    assert place is not None
    stack = Backtrace(
        (StackFrame(place.sepc, None, None),), "not followed", (Problem(samples.HOSTILE, "no"),)
    )
    text = render_text(backtrace.view(stack), width=80)
    assert "\x1b" not in text
    assert "not followed" in text


def test_threads_and_hart() -> None:
    state = samples.healthy()
    stacks = tuple(CallStack(t, STACK if t.context else None) for t in state.processor.threads)
    text = render_text(backtrace.view_all(CallStacks(state.processor, stacks)), width=120)
    for thread in state.processor.threads:
        assert f"thread {thread.id}:" in text
    assert "no call stack" in text
    assert "handling a trap" in render_text(
        backtrace.view_hart(HartStack(STACK, state.trap)), width=100
    )
    for stack in stacks:
        assert f"thread {stack.thread.id}:" in render_text(backtrace.view_thread(stack), width=60)
