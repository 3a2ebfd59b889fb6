"""What a kernel says of itself beside what the decoders say of it."""

import re
from collections.abc import Iterator

from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.state import Processor, Thread
from rcdbg.riscv import pte
from rcdbg.riscv.table_listing import Listing
from rcdbg.trace.conditions import reached
from rcdbg.trace.run import MissedError, Run
from tests.support.qemu_account import parse_info_mem
from tests.support.shapes import Account, accounts, bounds

STATES = {
    "Ready": "ready",
    "Running": "running",
    "Blocked": "sleeping",
    "Zombie": "dead",
    "Exited": "dead",
    "RUNNABLE": "ready",
    "RUNNING": "running",
    "SLEEPING": "sleeping",
    "ZOMBIE": "dead",
}


def stops(run: Run) -> Iterator[tuple[Account, Kernel]]:
    """Each time that the kernel has told of itself."""
    while True:
        try:
            kernel = run.until(reached("accounted"))
        except MissedError:
            assert re.search("(apps have|process has|init has) ended$", run.console.rstrip())
            return
        assert kernel is not None
        yield accounts(run.console)[-1], kernel


def same_threads(account: Account, processor: Processor, *, is_ordered: bool = True) -> None:
    """Whether all threads are what the kernel says; `is_ordered`: and in the order it says."""
    assert processor.problems == (), account.number
    threads = {name_of(account, t): t for t in processor.threads if t.id is not None}
    assert threads.keys() == account.tasks.keys(), account.number
    current = None if processor.current is None else name_of(account, processor.current)
    assert current == account.current, account.number
    ready = tuple(name_of(account, t) for t in processor.ready)
    if is_ordered:
        assert ready == account.ready, account.number
    else:
        assert set(ready) == {n for n, t in account.tasks.items() if STATES[t["state"]] == "ready"}
    for name, thread in threads.items():
        _same(account, name, thread)
    # Whoever has exited has no number any more.
    nameless = [t for t in processor.threads if t.id is None]
    assert {t.status for t in nameless} <= {"dead"}, (account, nameless)


def name_of(account: Account, thread: Thread) -> str:
    """What the kernel calls a thread in its account."""
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


def same_memory(account: Account, kernel: Kernel) -> None:
    """Whether frames, heap and tables are what the kernel says."""
    frames, sets = read_frames(kernel), read_memory_sets(kernel)
    assert (frames.problems, sets.problems) == ((), ())
    assert frames.free_frames == account.free
    if account.heap is not None:
        heap = read_heap(kernel)
        assert heap.problems == ()
        assert (heap.allocated, heap.total) == account.heap
    roots = {str(s.number): s.root_ppn for s in sets.sets}
    for name, said in (account.processes or account.tasks).items():
        assert roots[name] == int(said["root"], 16) >> 12, (account.number, name)
    assert roots["None"] == (account.kernel_root or 0) >> 12
    for found in sets.sets:
        assert found.problems == ()
        # Of a zombie the areas are gone already, and its table is not.
        assert found.differences == 0 or not found.segments, found.name


def same_tables(run: Run) -> None:
    """Whether the table in satp maps what QEMU says."""
    kernel = run.kernel()
    with Monitor(run.qemu.qmp_socket) as monitor:
        text = monitor.hmp("info mem")
    mapped = [(m.va, m.pa, m.size, m.attributes) for m in parse_info_mem(text)]
    ours: list[tuple[int, int, int, str]] = []
    for each in Listing(kernel.target.read_phys, kernel.memory.satp):
        flags = pte.flags_text(each.bits)
        if ours and _goes_on(ours[-1], each.va, each.pa, flags):
            va, pa, size, _ = ours[-1]
            ours[-1] = (va, pa, size + each.size, flags)
        else:
            ours.append((each.va, each.pa, each.size, flags))
    assert ours == mapped


def _goes_on(last: tuple[int, int, int, str], va: int, pa: int, flags: str) -> bool:
    return (last[0] + last[2], last[1] + last[2], last[3]) == (va, pa, flags)
