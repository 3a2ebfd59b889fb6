"""Tasks in an array on the stack of the main loop, as tg-rcore-tutorial's ch3 has them."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.dwarf.cfi import CallFrame
from rcdbg.image.dwarf.cfi_program import How, RegisterRule
from rcdbg.image.dwarf.scoped import FrameBase, LocalVariable
from rcdbg.image.types import Member, StructType
from rcdbg.kernels.reading import Overlay
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.values.value import Value
from tests.unit.model.kernels import FakeImage, WorldOfStatics
from tests.unit.model.world import BASE

PLACES, COUNT = 6, 4
LOOP, EXECUTE = BASE + 0x1000, BASE + 0x2000
FRAME, CALLED = 0x40, 0x30
"""Bytes of the loop's frame beside the tasks, and of that of the function that it calls."""
RESTORED = b"\x82\x60\x21\x01"
"""ld ra, (sp); addi sp, sp, 8"""


class Loop(WorldOfStatics):
    """Tasks are `done` or not; `now` runs."""

    def __init__(self, done: Sequence[bool], now: int, seed: int = 0) -> None:
        super().__init__(seed)
        self.context = self.add(StructType("tg::LocalContext", 264, (
            Member("sctx", self.u64, 0), Member("x", self.array_of(self.u64, 31), 8),
            Member("sepc", self.u64, 256),
        )))  # fmt: skip
        stack = self.array_of(self.u64, 16)
        self.task = self.struct("tg::TaskControlBlock", [
            ("ctx", self.context), ("finish", self.u8), ("stack", stack),
        ])  # fmt: skip
        array = self.array_of(self.task, PLACES)
        self.sp = self.alloc(FRAME + self.size(array) + 64)
        self.tasks = self.value(array, self.sp + FRAME)
        self.put(self.sp + 8, COUNT)
        self.put(self.sp + 16, now)
        self.put(self.sp + 24, 99)  # an index of an inner loop, which is over
        for number in range(PLACES):
            place = self.tasks.element(number)
            self.write(place["finish"].address, bytes([number < COUNT and done[number]]))
            self.put(place["ctx"]["sepc"].address, 0x10000 + number)
            stack_end = place["stack"].address + 128
            self.put(place["ctx"]["x"].element(1).address, stack_end - 16)
        base = FrameBase(2, 0)
        scope, over = ((LOOP, 0x100),), ((LOOP + 0x80, 8),)
        self.locals = (
            LocalVariable("tcbs", array, base, FRAME, scope),
            LocalVariable("index_mod", self.u64, base, 8, scope),
            LocalVariable("i", self.u64, base, 16, scope),
            LocalVariable("i", self.u64, base, 24, over),
        )

    def enter(self, now: int) -> None:
        """Write what is saved while user code runs: ra on the stack, and 32 words below."""
        place: Value = self.tasks.element(now)
        self.saved = self.alloc(0x200)
        self.put(place["ctx"]["sctx"].address, self.saved)
        self.put(self.saved + 8, EXECUTE + 8)  # ra of assembly: into the function that called it
        # Behind the words lies its caller's ra, then that function's own frame.
        self.put(self.saved + 256 + CALLED, LOOP + 0x20)

    def kernel(self, *, now: int, privilege: int, csrs: dict[str, int] | None = None) -> Kernel:
        place = self.tasks.element(now)
        x = (0, 0, self.sp, *(0,) * 29)
        pc = LOOP + 0x10 if privilege else 0x10000
        known = {"sscratch": place["ctx"].address, "scause": 8}
        registers = Registers(pc, x, known if csrs is None else csrs, privilege)
        target = RamTarget(self.memory, BASE, lambda: registers)
        image: Any = FakeImage(self)
        image.locals_of = lambda name: self.locals if name == "rust_main" else ()
        image.call_frames = SimpleNamespace(at=self._rules)
        image.read = lambda address, size: RESTORED if address == EXECUTE + 8 else None
        image.lines = SimpleNamespace(lookup=lambda _: None)
        memory = VirtualMemory(target, 0, image.physical)
        return Kernel(image, target, registers, memory, Overlay(family="tg"))

    def _rules(self, pc: int) -> CallFrame | None:
        if not EXECUTE <= pc < EXECUTE + 0x100:
            return None
        # The frame's caller has its own sp where the tasks are: given by the CFA.
        distance = self.sp - (self.saved + 264)
        rules = {1: RegisterRule(How.AT_CFA, self.saved + 256 + CALLED - self.sp)}
        return CallFrame(2, distance, rules, 1, False, EXECUTE)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("privilege", [0, 1])
def test_the_tasks_of_the_loop(seed: int, privilege: int) -> None:
    world = Loop((False, True, False, False), now=2, seed=seed)
    world.enter(2)
    processor = read_processor(world.kernel(now=2, privilege=privilege))
    assert processor.problems == ()
    assert processor.unknown == frozenset()
    assert processor.current is not None
    assert processor.current.id == 2
    assert [(t.id, t.position) for t in processor.ready] == [(3, 0), (0, 1)]
    assert [(t.id, t.status) for t in processor.others] == [(1, "dead")]
    waiting = processor.ready[0]
    stack = world.tasks.element(3)["stack"].address
    assert waiting.user_stack is not None
    assert (waiting.user_stack.start, waiting.user_stack.end) == (stack, stack + 128)
    assert (waiting.stack_used, waiting.user_stack.guarded) == (16, False)
    assert waiting.context is not None
    assert waiting.context.sepc.address == 0x10003


def test_before_the_first_trap_nobody_runs() -> None:
    world = Loop((False,) * COUNT, now=0)
    processor = read_processor(world.kernel(now=0, privilege=1, csrs={"scause": 0}))
    assert processor.current is None
    assert "current" not in processor.unknown
    assert len(processor.ready) == COUNT


def test_where_the_loop_is_not_on_the_stack_nothing_is_known() -> None:
    world = Loop((False,) * COUNT, now=0)
    kernel = world.kernel(now=0, privilege=0, csrs={"scause": 8})
    processor = read_processor(kernel)
    assert processor.unknown >= {"current", "ready"}
    assert processor.threads == ()
    assert processor.problems


def test_a_count_that_is_nonsense_is_a_problem() -> None:
    world = Loop((False,) * COUNT, now=0)
    world.put(world.sp + 8, 1 << 40)
    processor = read_processor(world.kernel(now=0, privilege=1))
    assert any("are too many" in problem.why for problem in processor.problems)
