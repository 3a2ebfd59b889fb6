"""Kernels in the shapes of rCore-Tutorial-v3: decoders say at each stop what the kernel says."""

import re
from collections.abc import Iterator

import pytest

from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.state import Processor, Thread
from rcdbg.riscv import pte
from rcdbg.riscv.table_listing import Listing
from rcdbg.trace.conditions import reached
from rcdbg.trace.run import Boot, MissedError, Run
from tests.support.qemu_account import parse_info_mem
from tests.support.shapes import MEMORY, Account, accounts, bounds, build

STATES = {
    "Ready": "ready",
    "Running": "running",
    "Blocked": "sleeping",
    "Zombie": "dead",
    "Exited": "dead",
}


@pytest.fixture(params=["debug", "release"])
def profile(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--release",) if request.param == "release" else ()


@pytest.fixture(params=["ch3", "ch4", "ch5", "ch8"])
def run(request: pytest.FixtureRequest, profile: tuple[str, ...]) -> Iterator[Run]:
    elf = build("v3", *profile) / request.param
    with Run(Boot(elf, memory=MEMORY, deterministic=True)) as run:
        yield run


def stops(run: Run) -> Iterator[tuple[Account, Kernel]]:
    """Each time that the kernel has told of itself."""
    while True:
        try:
            kernel = run.until(reached("accounted"))
        except MissedError:
            assert re.search("(apps have|process has) ended$", run.console.rstrip())
            return
        assert kernel is not None
        yield accounts(run.console)[-1], kernel


def test_what_the_kernel_says_is_what_is_shown(run: Run) -> None:
    numbers = []
    for account, kernel in stops(run):
        _threads(account, run.state().processor)
        if account.kernel_root is not None:
            _memory(account, kernel)
        numbers.append(account.number)
    assert len(numbers) >= 8
    assert numbers == list(range(1, len(numbers) + 1))


def _threads(account: Account, processor: Processor) -> None:
    assert processor.problems == (), account.number
    threads = {_name(account, t): t for t in processor.threads if t.id is not None}
    assert threads.keys() == account.tasks.keys(), account.number
    current = None if processor.current is None else _name(account, processor.current)
    assert current == account.current, account.number
    assert tuple(_name(account, t) for t in processor.ready) == account.ready, account.number
    for name, thread in threads.items():
        _same(account, name, thread)
    # Whoever has exited has no number any more.
    nameless = [t for t in processor.threads if t.id is None]
    assert {t.status for t in nameless} <= {"dead"}, (account, nameless)


def _name(account: Account, thread: Thread) -> str:
    return f"{thread.process_id}.{thread.id}" if account.processes else str(thread.id)


def _same(account: Account, name: str, thread: Thread) -> None:
    said, at = account.tasks[name], (account.number, name)
    assert thread.problems == (), at
    assert thread.state == said["state"], at
    assert thread.status == STATES[said["state"]], at
    if thread.status == "dead":
        return
    if "kstack" in said and "cx" in said:
        assert thread.kernel_stack is not None, at
        kept = thread.kernel_stack.start, thread.kernel_stack.end
        assert kept == bounds(said["kstack"]), at
    if thread.status == "running":
        return
    assert thread.switch is not None, at
    assert thread.switch.ra.address == int(said["ra"], 16), at
    assert thread.switch.sp == int(said["sp"], 16), at
    if "cx" in said:
        assert thread.context is not None, at
        assert thread.context.address == int(said["cx"], 16), at


def _memory(account: Account, kernel: Kernel) -> None:
    frames, heap, sets = read_frames(kernel), read_heap(kernel), read_memory_sets(kernel)
    assert (frames.problems, heap.problems, sets.problems) == ((), (), ())
    assert frames.free_frames == account.free
    assert (heap.allocated, heap.total) == account.heap
    roots = {str(s.number): s.root_ppn for s in sets.sets}
    for name, said in (account.processes or account.tasks).items():
        assert roots[name] == int(said["root"], 16) >> 12, (account.number, name)
    assert roots["None"] == (account.kernel_root or 0) >> 12
    for found in sets.sets:
        assert found.problems == ()
        # Of a zombie the areas are gone already, and its table is not.
        assert found.differences == 0 or not found.segments, found.name


def test_qemu_sees_the_same_tables(run: Run) -> None:
    with Monitor(run.qemu.qmp_socket) as monitor:
        for symbol in ("trap_handler", "accounted", "trap_handler"):
            run.until(reached(symbol))
            kernel = run.kernel()
            mapped = [
                (m.va, m.pa, m.size, m.attributes) for m in parse_info_mem(monitor.hmp("info mem"))
            ]
            listed = Listing(kernel.target.read_phys, kernel.memory.satp)
            ours: list[tuple[int, int, int, str]] = []
            for each in listed:
                flags = pte.flags_text(each.bits)
                if ours and _goes_on(ours[-1], each.va, each.pa, flags):
                    va, pa, size, _ = ours[-1]
                    ours[-1] = (va, pa, size + each.size, flags)
                else:
                    ours.append((each.va, each.pa, each.size, flags))
            assert ours == mapped


def _goes_on(last: tuple[int, int, int, str], va: int, pa: int, flags: str) -> bool:
    return (last[0] + last[2], last[1] + last[2], last[3]) == (va, pa, flags)
