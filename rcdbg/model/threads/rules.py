"""What has to hold for threads, whatever the scheduler: each rule that is broken, by name.

While the processor's lock is held, a thread is on its way from one place to another: then only what
concerns a single thread is said.
"""

from collections import Counter

from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Problem, Processor, Thread
from rcdbg.riscv.paging import walk
from rcdbg.riscv.registers import unsigned

_SPP = "SPP"


def name_of(thread: Thread) -> str:
    """`thread 3`, or its address where the id cannot be read."""
    return f"thread at {thread.address:#x}" if thread.id is None else f"thread {thread.id}"


def broken_invariants(kernel: Kernel, processor: Processor) -> tuple[Problem, ...]:
    """The rules that the threads break as a whole; none while the processor is locked."""
    if processor.locked:
        return ()
    found: list[Problem] = []

    def broken(thread: Thread, why: str) -> None:
        found.append(Problem(name_of(thread), why))

    current = processor.current
    if current is not None and current.context is not None and not _just_parked(kernel, current):
        broken(current, "runs, but has a parked Context: the next park finds the place taken")
    places = [(t, "in the ready queue") for t in processor.ready]
    places += [(t, "among the sleeping ones") for t in processor.sleeping]
    for thread, place in places:
        if thread.context is None and not thread.problems and not thread.locked:
            broken(thread, f"is {place}, but has no parked Context to go on with")
        if thread.dead:
            broken(thread, f"is dead, but still {place}")
    for thread in processor.ready:
        if thread.sleeping:
            broken(thread, "sleeps, but is in the ready queue")
    for thread in processor.sleeping:
        if thread.sleeping is False:
            broken(thread, "is among the sleeping ones, but not marked as sleeping")
    found += _more_than_once(processor)
    return tuple(found)


def queue_problems(processor: Processor) -> tuple[Problem, ...]:
    """What has to hold for a ready queue, whatever a kernel keeps beside it; none if locked."""
    if processor.locked:
        return ()
    found: list[Problem] = []
    times = Counter(t.address for t in processor.ready)
    for thread in {t.address: t for t in processor.ready}.values():
        if times[thread.address] > 1:
            why = f"is {times[thread.address]} times in the ready queue"
            found.append(Problem(name_of(thread), why))
        if thread.dead:
            found.append(Problem(name_of(thread), "is dead, but still in the ready queue"))
        if thread.sleeping:
            found.append(Problem(name_of(thread), "sleeps, but is in the ready queue"))
    return tuple(found)


def _more_than_once(processor: Processor) -> list[Problem]:
    found = []
    ready = Counter(t.address for t in processor.ready)
    sleeping = {t.address for t in processor.sleeping}
    for thread in processor.threads:
        times = ready[thread.address]
        if times > 1:
            found.append(Problem(name_of(thread), f"is {times} times in the ready queue"))
        if times and thread.address in sleeping:
            found.append(Problem(name_of(thread), "is ready and asleep at once"))
        if processor.current is not None and thread.address == processor.current.address:
            if times:
                found.append(Problem(name_of(thread), "runs and is in the ready queue at once"))
            if thread.address in sleeping:
                why = "runs and is among the sleeping ones at once"
                found.append(Problem(name_of(thread), why))
    ids = Counter(t.id for t in processor.threads if t.id is not None)
    for number, times in ids.items():
        if times > 1:
            found.append(Problem(f"thread {number}", f"{times} threads have this id"))
    return found


def _just_parked(kernel: Kernel, thread: Thread) -> bool:
    """Whether the parked Context is that of the trap being handled: a switch is under way."""
    context, sepc = thread.context, kernel.csr("sepc")
    return context is not None and sepc is not None and context.sepc.address - sepc in (0, 2, 4)


def parked_problems(
    kernel: Kernel, thread: Thread, root_ppn: int | None = None
) -> tuple[Problem, ...]:
    """What is wrong with a thread's stack and with the place where it would go on.

    `root_ppn` is the root table of its process; None for the one in satp.
    """
    found: list[Problem] = []
    where = name_of(thread)
    stack, context = thread.stack, thread.context
    if stack is not None and stack.end <= stack.start:
        found.append(Problem(f"{where}.stack", f"it ends at {stack.end:#x}, before its start"))
        stack = None
    if context is None:
        return tuple(found)
    sp = context.x[2]
    if stack is not None and sp not in stack:
        below = stack.start - sp
        why = f"sp {sp:#x} is outside its stack {stack.start:#x}..{stack.end:#x}"
        if 0 < below <= stack.end - stack.start:
            why += f", {below} bytes below it: an overflow"
        found.append(Problem(f"{where}.context", why))
    unfit = _not_executable(kernel, context.sepc.address, thread.is_user, root_ppn)
    if unfit:
        found.append(Problem(f"{where}.context", f"sepc {context.sepc.address:#x} {unfit}"))
    fields = context.sstatus.fields if context.sstatus is not None else ()
    spp = next((f.value for f in fields if f.name == _SPP), None)
    if thread.is_user is False and spp == 0:
        why = "sstatus.SPP is U, but its process is the kernel's: sret would drop to U-mode"
        found.append(Problem(f"{where}.context", why))
    return tuple(found)


def _not_executable(
    kernel: Kernel, pc: int, is_user: bool | None, root_ppn: int | None
) -> str | None:
    """Why no instruction can be fetched from `pc`; None if one can, or that is not known."""
    if not kernel.memory.satp.translates or (is_user and root_ppn is None):
        return None
    satp = kernel.memory.satp if root_ppn is None else kernel.memory.satp.other(root_ppn)
    found = walk(kernel.target.read_phys, satp, unsigned(pc))
    if found.physical is None:
        return f"is not mapped: {found.fault}"
    if "x" not in found.steps[-1].pte.flags:
        return "is not executable"
    return None
