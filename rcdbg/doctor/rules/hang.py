"""A kernel that does not go on, by looks some time apart: what it does instead."""

from collections.abc import Iterator

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.looks import Looks, pointers_to
from rcdbg.errors import MemoryReadError
from rcdbg.model.faults.neighbours import called
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Thread
from rcdbg.model.tasks.locks import KernelLock, read_locks
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.trap import read_trap
from rcdbg.riscv import causes
from rcdbg.riscv.code import WFI
from rcdbg.riscv.registers import unsigned

_MACHINE, _SUPERVISOR, _USER = 3, 1, 0
_SIE, _STIE = 1 << 1, 1 << 5
_SP, _WORD = 2, 8
_LOCK_BYTES = 64
_FAR_AWAY = 100_000_000
"""Ticks: ten seconds."""
_MAX_STACK = 1 << 16
_LOCKS, _THREADS, _CSRS, _STACK = "show locks", "show threads", "show csr", "show backtrace"


def verdict(examination: Examination) -> Iterator[Finding]:
    """What the hart does all the time; the first of these that fits."""
    looks, kernel = examination.looks, examination.kernel
    if looks is None or not looks.looks:
        return
    for rule in (_spins, _waits, _storm, _firmware, _interrupts_off, _computes):
        found = rule(kernel, looks)
        if found is not None:
            yield found
            return


def _count(looks: Looks) -> str:
    return f"in all {len(looks.looks)} looks"


def _spins(kernel: Kernel, looks: Looks) -> Finding | None:
    """The hart holds a pointer to one taken lock, in all looks, and nothing else moves."""
    if looks.always(_MACHINE) or len(looks.csrs("sepc")) > 1:
        return None
    stays = {(look.registers.sp, look.registers.x[1]) for look in looks.looks}
    if len(stays) > 4:  # it calls this and that: it works
        return None
    taken = [
        lock
        for lock in read_locks(kernel).taken
        if pointers_to(kernel, looks.looks, lock.address, _LOCK_BYTES)
        or (lock.flag is not None and pointers_to(kernel, looks.looks, lock.flag, _WORD))
    ]
    if len(taken) != 1:
        return None
    (lock,) = taken
    holder, fact = _holder(kernel, lock)
    name, times = looks.most()
    evidence = [
        Fact(f"{lock.path} ({lock.kind} at {lock.address:#x}) is {lock.state}", None, _LOCKS),
        Fact(f"{times} of {len(looks.looks)} looks in {name}, with a register that leads to it",
             looks.last.place, _STACK),
    ]  # fmt: skip
    evidence += [] if fact is None else [fact]
    return Finding(
        "RC0812",
        Severity.ERROR,
        Confidence.LIKELY,
        f"the hart spins for {lock.path}, which is taken{holder}: it waits for ever",
        tuple(evidence),
        bucket_of("RC0812", lock.path),
        looks.last.place,
        "A spin lock was taken again by code that it was already taken by, in a trap that came "
        "while it was held, or it was never released.",
        "Find who has it: drop the guard before whatever needs the lock again, and keep interrupts "
        "off while a lock is held that a handler takes too.",
        "another hart has it, and gives it back",
    )


def _holder(kernel: Kernel, lock: KernelLock) -> tuple[str, Fact | None]:
    if lock.holder:
        return f" by {lock.holder}", None
    context = read_trap(kernel).context
    from_s = context is not None and context.sstatus is not None
    if context is not None and from_s and _leads_there(kernel, context.x[_SP], lock):
        place = context.sepc
        return (
            f" by the code that this trap interrupted ({place.symbol or hex(place.address)})",
            Fact("the interrupted code's stack leads to the lock", place, _STACK),
        )
    for thread in read_processor(kernel).threads:
        if thread.main_sp is not None and _leads_there(kernel, thread.main_sp, lock):
            return f" by {called(thread)}", Fact("its stack leads to the lock", None, _THREADS)
    return "", None


def _leads_there(kernel: Kernel, sp: int, lock: KernelLock) -> bool:
    """Whether a word on the stack from sp on is the lock's address or its flag's: a guard's."""
    wanted = {lock.address, lock.flag}
    for at in range(sp, sp + _MAX_STACK, 512):
        try:
            data = kernel.own_memory.read(at, 512)
        except MemoryReadError:
            return False
        words = (int.from_bytes(data[i : i + _WORD], "little") for i in range(0, 512, _WORD))
        if any(word in wanted for word in words):
            return True
    return False


def _at_wfi(kernel: Kernel, looks: Looks) -> bool:
    """Whether the hart is at or right behind a wfi in most of the looks."""
    count = 0
    for look in looks.looks:
        pc = unsigned(look.registers.pc)
        code = kernel.image.read(kernel.linked(pc - 4), 8) or b""
        words = (int.from_bytes(code[i : i + 4], "little") for i in (0, 4))
        count += WFI in words
    return 2 * count > len(looks.looks)


def _waits(kernel: Kernel, looks: Looks) -> Finding | None:
    if looks.always(_MACHINE) or not _at_wfi(kernel, looks):
        return None
    sie = looks.last.registers.csrs.get("sie")
    sleepers = [t for t in read_processor(kernel).threads if t.status == "sleeping"]
    evidence = [Fact(f"the hart is at wfi {_count(looks)}", looks.last.place, _STACK)]
    evidence += [_waits_for(thread) for thread in sleepers[:8]]
    if sie is not None:
        enabled = [causes.INTERRUPTS[n] for n in (1, 5, 9) if sie >> n & 1]
        evidence.append(Fact(f"enabled in sie: {', '.join(enabled) or 'nothing'}", None, _CSRS))
    far = _far(looks)
    if sie is not None and (not sie or (sie == _STIE and far)):
        why = "no interrupt is enabled in sie" if not sie else "the timer is set to never"
        return Finding(
            "RC0811",
            Severity.ERROR,
            Confidence.CERTAIN,
            f"everyone waits, and nothing can wake the hart: {why}",
            tuple(evidence),
            bucket_of("RC0811", why),
            looks.last.place,
            "The hart waits for an interrupt that cannot come: nobody has armed the timer, or its "
            "interrupt is not enabled.",
            "Arm the next deadline before the hart waits, and set STIE (or SEIE) in sie.",
        )
    return Finding(
        "RC0811",
        Severity.NOTE,
        Confidence.CERTAIN,
        f"the hart waits for an interrupt, {len(sleepers)} threads sleep: it is idle",
        tuple(evidence),
        bucket_of("RC0811", "idle"),
        looks.last.place,
        "No thread is ready. A kernel that waits for a key, or for its next alarm, does so.",
        "If a thread should run: see what each of them waits for, and who should have woken it.",
    )


def _far(looks: Looks) -> bool:
    if looks.mtime is None or looks.deadline is None:
        return False
    return looks.deadline - looks.mtime > _FAR_AWAY


def _waits_for(thread: Thread) -> Fact:
    waits = ", ".join(f"{w.kind} {w.what}".strip() for w in thread.waits or ())
    return Fact(f"{called(thread)} sleeps" + (f", waits for {waits}" if waits else ""), None,
                _THREADS)  # fmt: skip


def _storm(kernel: Kernel, looks: Looks) -> Finding | None:
    """The hart handles one and the same interrupt at every look."""
    causes_seen = looks.csrs("scause")
    (cause, *more) = causes_seen
    if more or cause is None or not causes.is_interrupt(cause):
        return None
    handled = [look for look in looks.looks if look.handling == causes.describe(cause)]
    if len(handled) < len(looks.looks) - 2:
        return None  # a look may be right between two of them
    if len({look.place.symbol for look in looks.looks}) < 2:
        return None  # it stays in one place of the handler: no storm
    sepc = looks.last.registers.csrs.get("sepc") or 0
    return Finding(
        "RC0813",
        Severity.ERROR,
        Confidence.LIKELY,
        f"a storm: the hart does nothing but handle the {causes.describe(cause)}",
        (
            Fact(f"it was being handled in {len(handled)} of {len(looks.looks)} looks",
                 looks.last.place, _STACK),
            Fact("what it interrupts gets nowhere", kernel.place(sepc), _CSRS),
        ),
        bucket_of("RC0813", causes.describe(cause)),
        looks.last.place,
        "Nobody takes away what the interrupt asks for: it comes again as soon as it was handled.",
        "For the timer set the next deadline in the handler; for a device complete the interrupt.",
        "the handler takes longer than the time to the next tick",
    )  # fmt: skip


def _firmware(kernel: Kernel, looks: Looks) -> Finding | None:
    if not looks.always(_MACHINE):
        return None
    return Finding(
        "RC0814",
        Severity.WARNING,
        Confidence.LIKELY,
        f"the hart is in M-mode {_count(looks)}: the firmware does not come back",
        (Fact(f"the last look was at {looks.last.place.address:#x}", looks.last.place, _CSRS),),
        bucket_of("RC0814"),
        None,
        "The kernel has asked the firmware for something that it does not end: a shutdown or a "
        "key that it has no way for, a call that it does not know.",
        "`rcdbg trace sbi` has the last call with its numbers and what it returned.",
        "the kernel calls the firmware all the time, as to print, or to poll for a key",
    )


def _interrupts_off(kernel: Kernel, looks: Looks) -> Finding | None:
    if not looks.always(_SUPERVISOR) or len(looks.csrs("sepc")) > 1:
        return None
    if any((value or 0) & _SIE for value in looks.csrs("sstatus")):
        return None
    late = looks.mtime is not None and looks.deadline is not None and looks.mtime > looks.deadline
    pending = any((value or 0) & _STIE for value in looks.csrs("sip"))
    if not (late or pending):
        return None
    name, times = looks.most()
    evidence = (
        Fact(f"sstatus.SIE is off {_count(looks)}", None, _CSRS),
        Fact("the timer's interrupt is due, and cannot be taken", None, _CSRS),
        Fact(f"{times} of {len(looks.looks)} looks in {name}", looks.last.place, _STACK),
    )
    return Finding(
        "RC0815",
        Severity.ERROR,
        Confidence.LIKELY,
        f"interrupts are off, and the hart stays in {name}: no tick can come",
        evidence,
        bucket_of("RC0815", name),
        looks.last.place,
        "A trap clears SIE, and a handler or a critical section that does not end keeps it off.",
        "Look at what the function waits for: it cannot be an interrupt.",
        "it computes, and will be done soon",
    )


def _computes(kernel: Kernel, looks: Looks) -> Finding | None:
    name, times = looks.most()
    share = 100 * times // len(looks.looks)
    evidence = [Fact(f"the last look was in {looks.last.place.symbol or '?'}", looks.last.place,
                     _STACK)]  # fmt: skip
    said = f"it computes: {share} % of {len(looks.looks)} looks in {name}"
    if (why := _no_tick(looks)) and not looks.always(_MACHINE):
        said += f"; {why}"
        evidence.append(Fact(why, None, _CSRS))
    return Finding(
        "RC0816",
        Severity.NOTE,
        Confidence.CERTAIN,
        said,
        tuple(evidence),
        bucket_of("RC0816", name),
        looks.last.place,
        "The hart executes code, and does not wait for anything.",
        "If it should be done by now, look at the loop around this function; if another thread "
        "should run, at what ought to interrupt it.",
    )


def _no_tick(looks: Looks) -> str:
    """Why no timer interrupt comes, in words; "" where one may."""
    if not any((value or 0) & _STIE for value in looks.csrs("sie")) and None not in looks.csrs(
        "sie"
    ):
        return "no tick can come: STIE is off in sie"
    if len(looks.csrs("sepc")) == 1 and _far(looks):
        return "no tick will come: the timer is set to never"
    return ""
