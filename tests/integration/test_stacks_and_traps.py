"""Call stacks through traps, the idle thread, the use of stacks, and all of it damaged."""

import random
import re

import pytest

from rcdbg.guest.protocol import Registers
from rcdbg.model.kernel import Kernel
from rcdbg.model.serial import state as serial
from rcdbg.model.threads.call_stacks import read_call_stacks, read_hart_stack, read_threads
from rcdbg.model.threads.unwind import MAX_FRAMES, backtrace_now
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached, switch, trap
from rcdbg.views.render import render_text
from rcdbg.views.threads.backtrace import view_all
from tests.support.frozen import Frozen, Seen
from tests.support.sleepers import sleepers_at_a_tick

ROUNDS = 150

pytestmark = pytest.mark.every_kernel


def test_every_instruction_of_a_trap_leads_to_the_same_interrupted_code(
    rcdbg_boot: BootKernel,
) -> None:
    """From the first instruction of the entry on, whatever the handler has on its stack."""
    run = rcdbg_boot("preempt", "interval=20000")
    run.until(trap("timer"))
    run.until(reached("__interrupt"))
    sepc = run.kernel().csr("sepc")
    interrupted: list[tuple[int, int | None]] | None = None
    depths = set()
    for _ in range(700):
        kernel = run.kernel()
        if kernel.registers.privilege == 3:
            break  # the kernel has called the firmware
        stack = backtrace_now(kernel)
        assert stack.problems == (), stack
        entry = [n for n, frame in enumerate(stack.frames) if frame.is_trap]
        assert len(entry) == 1, stack
        depths.add(entry[0])
        rest = [(f.pc.address, f.sp) for f in stack.frames[entry[0] + 1 :]]
        assert rest[0][0] == sepc
        interrupted = interrupted or rest
        assert rest == interrupted
        run.machine.stub.step()
    assert len(depths) > 1, "it has to be looked at inside of calls, too"


def test_nested_traps(rcdbg_boot: BootKernel) -> None:
    """A fault in the handler: the kernel itself prints the sepc of the inner trap."""
    run = rcdbg_boot("fault", "where=handler")
    run.until(reached("shutdown_failure"))
    found = run.state().trap
    assert found.depth == 2
    assert found.context is not None
    said = re.search(r"fault in the trap handler: (.*), stval=\w+, sepc=(0x\w+)", run.console)
    assert said is not None
    assert found.context.sepc.address == int(said[2], 16)
    assert found.cause == said[1]
    assert "2 deep" in found.note
    outer = found.outer[0]
    # The outer one lies at the top of the kernel stack, as the first Context of a trap always does.
    traps = [f for f in backtrace_now(run.kernel()).frames if f.is_trap]
    assert [f.context for f in traps] == [found.context.address, outer.address]


def test_what_changed_since_the_trap(rcdbg_boot: BootKernel) -> None:
    run = sleepers_at_a_tick(rcdbg_boot)
    kernel, found = run.kernel(), run.state().trap
    assert found.context is not None
    # At the handler's entry a0 holds the Context's address, a1 scause.
    assert {2, 10, 11} <= set(found.changed)
    assert 0 not in found.changed
    unchanged = set(range(32)) - set(found.changed)
    assert all(kernel.registers.x[n] == found.context.x[n] for n in unchanged)


def test_the_idle_thread(rcdbg_boot: BootKernel) -> None:
    """Number 0 in our kernel: it runs when all others sleep, and else is in no queue."""
    run = rcdbg_boot("sleepers")
    run.until(switch(to=0))
    running = run.state().processor
    assert running.current is not None
    assert (running.current.id, running.current.is_idle) == (0, True)
    assert running.idle is None
    other = rcdbg_boot("preempt", "interval=20000")
    other.until(trap("timer"))
    processor = other.state().processor
    assert processor.idle is not None
    assert (processor.idle.id, processor.idle.status) == (0, "idle")
    assert processor.problems == ()
    assert processor.idle not in processor.ready


def test_the_deepest_use_of_a_stack(rcdbg_boot: BootKernel) -> None:
    """Against the stack's bytes as QEMU's monitor reads them, up from the lowest."""
    run = sleepers_at_a_tick(rcdbg_boot)
    processor = read_threads(run.kernel())
    checked = 0
    for thread in processor.sleeping:
        assert thread.stack is not None
        assert thread.stack_deepest is not None
        assert thread.stack_used is not None
        assert thread.stack_deepest >= thread.stack_used
        lowest = thread.stack.end - thread.stack_deepest
        start = lowest & ~7
        text = run.qemu.monitor.hmp(f"x/65gx {start - 512:#x}")
        words = [int(w, 16) for w in re.findall(r"0x([0-9a-f]{16})", text)]
        assert len(words) == 65
        assert words[:64] == [0] * 64
        assert words[64] != 0
        checked += 1
    assert checked


def test_damaged_stacks_and_contexts(rcdbg_boot: BootKernel) -> None:
    """Whatever is in memory and registers: each stack ends, nothing is raised."""
    frozen = Frozen.of(sleepers_at_a_tick(rcdbg_boot))
    seen = Seen(frozen)
    before = read_call_stacks(Kernel.now(frozen.image, seen))
    assert before.processor.problems == ()
    # Only what the stacks and the Contexts are made of, not all the zeros below them.
    memory, base = memoryview(frozen.memory), frozen.base
    words = [a for a in sorted(seen.addresses) if any(memory[a - base : a - base + 8])]
    memory.release()
    noticed = 0
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        for _ in range(chance.randint(1, 12)):
            value = chance.choice([chance.getrandbits(64), chance.choice(frozen.registers.x), 0])
            frozen.write(chance.choice(words), value.to_bytes(8, "little"))
        kernel = Kernel.now(frozen.image, frozen.target())
        after = read_call_stacks(kernel)
        render_text(view_all(after), width=chance.choice([40, 80, 160]))
        serial.call_stacks(after)
        noticed += after != before
        x = tuple(chance.choice([*frozen.registers.x, chance.getrandbits(64)]) for _ in range(32))
        pc = chance.choice([chance.choice(x), frozen.registers.pc + 2 * chance.randint(0, 999)])
        wild = Registers(pc, x, frozen.registers.csrs, 1)
        stack = read_hart_stack(Kernel.now(frozen.image, frozen.target(wild)))
        assert 1 <= len(stack.backtrace.frames) <= MAX_FRAMES
        assert stack.backtrace.note
        frozen.restore()
    assert noticed > ROUNDS // 10, "some of the damage shows"
