"""The rules for threads: each broken in turn, and silence while all of them hold."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rcdbg.model.state import Place, Processor, Stack, Thread
from rcdbg.model.threads.rules import broken_invariants, parked_problems
from rcdbg.riscv.csr import decode
from rcdbg.riscv.paging import Satp
from tests.unit.views import samples

RUNNING = replace(samples.thread(1, "running", None, None), sleeping=False, dead=False)
READY = replace(samples.thread(2, "ready", 0, samples.SPIN), sleeping=False, dead=False)
SECOND = replace(samples.thread(3, "ready", 1, samples.SPIN), sleeping=False, dead=False)
ASLEEP = replace(samples.thread(5, "sleeping", None, samples.PARK), sleeping=True, dead=False)
HEALTHY = Processor("FifoScheduler", RUNNING, (READY, SECOND), (ASLEEP,), False)

KERNEL: Any = SimpleNamespace(csr=lambda name: 0x1000, memory=SimpleNamespace(satp=Satp(0)))
"""A kernel of which the rules ask only for sepc; with paging off nothing is walked."""


def said(processor: Processor) -> str:
    return "; ".join(f"{p.where} {p.why}" for p in broken_invariants(KERNEL, processor))


def test_silence_on_a_healthy_kernel() -> None:
    assert said(HEALTHY) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"current": replace(RUNNING, context=READY.context)}, "thread 1 runs, but has a parked"),
        ({"ready": (replace(READY, context=None),)}, "thread 2 is in the ready queue, but has no"),
        ({"ready": (replace(READY, dead=True),)}, "thread 2 is dead, but still in the ready queue"),
        ({"ready": (replace(READY, sleeping=True),)}, "thread 2 sleeps, but is in the ready queue"),
        ({"ready": (READY, SECOND, READY)}, "thread 2 is 2 times in the ready queue"),
        ({"sleeping": (replace(ASLEEP, sleeping=False),)}, "thread 5 is among the sleeping ones"),
        ({"sleeping": (ASLEEP, READY)}, "thread 2 is ready and asleep at once"),
        ({"current": replace(READY, context=None)}, "thread 2 runs and is in the ready queue"),
        ({"current": ASLEEP}, "thread 5 runs and is among the sleeping ones"),
        ({"ready": (READY, replace(SECOND, id=2))}, "thread 2 2 threads have this id"),
    ],
)
def test_each_rule(change: dict[str, Any], words: str) -> None:
    assert words in said(replace(HEALTHY, **change))


def test_nothing_is_said_while_a_switch_is_under_way() -> None:
    broken = replace(HEALTHY, ready=(READY, READY))
    assert said(broken)
    assert said(replace(broken, locked=True)) == ""
    assert READY.context is not None
    just_parked = replace(READY.context, sepc=Place(0x1004))
    assert said(replace(HEALTHY, current=replace(RUNNING, context=just_parked))) == ""


def parked(thread: Thread) -> str:
    return "; ".join(f"{p.where} {p.why}" for p in parked_problems(KERNEL, thread))


def test_a_parked_context() -> None:
    context, stack = READY.context, READY.stack
    assert context is not None
    assert stack is not None
    kernel_thread = replace(READY, is_user=False)
    assert parked(kernel_thread) == ""
    x = list(context.x)
    x[2] = stack.start - 24
    below = replace(kernel_thread, context=replace(context, x=tuple(x)))
    assert "24 bytes below it: an overflow" in parked(below)
    x[2] = 0x10
    assert "is outside its stack" in parked(replace(below, context=replace(context, x=tuple(x))))
    user = replace(context, sstatus=decode("sstatus", 0x20))
    assert "SPP is U" in parked(replace(kernel_thread, context=user))
    assert "before its start" in parked(replace(kernel_thread, stack=Stack(0x2000, 0x1000)))
