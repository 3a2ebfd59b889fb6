"""Running from trap to trap, and steps that are right for a kernel.

The commands set the kernel going and return when it stands again, so they can follow each other in
a gdb script. They stop the machine only where they have to look, by breakpoints of their own that
gdb does not list and that are gone afterwards, also after Ctrl-C or another breakpoint. None of
them catches gdb's output (`to_string`) while the kernel runs: gdb 18 under MI waits for ever then.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import gdb

from gdbscripts.framework import Command, TypedWords, say
from gdbscripts.machine.connection import demand_machine
from gdbscripts.machine.interrupts import Interrupts, resume
from gdbscripts.machine.kernel import fresh_kernel
from gdbscripts.machine.step_mode import set_step_mode, step_mode
from rcdbg.errors import RcdbgError, TargetError, UsageError
from rcdbg.escape import safe_lines
from rcdbg.machine.stub.dialect import STEP_ALONE, STEP_MASKS_INTERRUPTS, STEP_WITH_INTERRUPTS

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel
    from rcdbg.model.state import Thread

    Happened = Callable[[Kernel], bool]

_MAX_CODE = 1 << 12
"""Bytes of the trap return that are looked through for its sret."""


class _Watch(gdb.Breakpoint):
    """A breakpoint of ours at an address: stops where `happened` says so."""

    def __init__(self, address: int, happened: Happened, interrupts: Interrupts) -> None:
        super().__init__(f"*{address:#x}", internal=True)
        self.silent = True  # gdb's own report would say "Breakpoint -1"
        self._happened = happened
        self._interrupts = interrupts
        self.hit = False
        self.error: Exception | None = None

    def stop(self) -> bool:
        """Whether this is it; gdb goes on otherwise. Ctrl-C and errors end the wait as well."""
        try:
            self.hit = self._happened(fresh_kernel())
        except (RcdbgError, gdb.error) as error:
            self.error = error
            return True
        return self.hit or self._interrupts.asked


def run_until(places: Sequence[int], happened: Happened) -> bool:
    """Let the kernel run to one of `places` where `happened`; False if it stopped elsewhere."""
    watches: list[_Watch] = []
    with Interrupts() as interrupts:
        try:
            for place in places:
                watches.append(_Watch(place, happened, interrupts))
            resume()
            for watch in watches:
                if watch.error is not None:
                    raise watch.error
            return any(watch.hit for watch in watches)
        finally:
            for watch in watches:
                with suppress(RuntimeError, gdb.error):  # gdb took it away itself
                    watch.delete()


def stopped_elsewhere(waited_for: str) -> dict[str, object]:
    """Say that something else came first: Ctrl-C, another breakpoint, the end of the machine."""
    inferior = gdb.selected_inferior()
    where = "" if inferior.pid else ": the machine has ended"
    return {"happened": False, "note": f"{waited_for} did not come first{where}"}


class RunningCommand(Command):
    """A command that sets the kernel going."""

    kind = gdb.COMMAND_RUNNING

    def tell(self, document: dict[str, object], as_json: bool) -> dict[str, object]:
        """Print the document for people, unless it is for programs."""
        from rcdbg.model.serial import state as serial

        if not as_json:
            say(f"rcdbg: {document['note']}")
        return serial.document("stop", document)


class _NextTrap(RunningCommand):
    """Run until a trap is handled: the Context is saved, nothing is done about it yet.

    CAUSE is a part of a cause's name: timer, breakpoint, "store page fault".
    """

    usage = "rc next-trap [CAUSE]"
    examples = ("rc next-trap", "rc next-trap timer", 'rc next-trap "load page fault"')

    def run(self, typed: TypedWords) -> dict[str, object]:
        from rcdbg.model.threads.trap import read_trap
        from rcdbg.trace.conditions import trap
        from rcdbg.trace.run import describe

        condition = trap(" ".join(typed.words) or None)
        kernel = fresh_kernel()
        if not run_until(condition.places(kernel.image, kernel.description), condition.happened):
            return self.tell(stopped_elsewhere(str(condition)), typed.as_json)
        found = read_trap(fresh_kernel())
        at = describe(found.context.sepc) if found.context else "an unknown place"
        note = f"{found.cause or 'a trap'} at {at}"
        sepc = f"{found.context.sepc.address:#x}" if found.context else None
        document = {"happened": True, "note": note, "cause": found.cause, "sepc": sepc}
        return self.tell(document, typed.as_json)

    def complete(self, text: str, word: str | None) -> list[str]:
        """The causes, word by word."""
        from rcdbg.riscv.causes import EXCEPTIONS, INTERRUPTS

        if text.strip().startswith("-"):
            return super().complete(text, word)
        causes = sorted({*EXCEPTIONS.values(), *INTERRUPTS.values()})
        text = text.lstrip()
        done = len(text) - len(word or "")
        return [cause[done:] for cause in causes if cause.startswith(text)]


class _UntilSret(RunningCommand):
    """Run until this trap is over: to the instruction at which the interrupted code goes on.

    That is code of the thread that goes on, which is another one if the handler switched threads.
    Traps inside the handler are gone over. Outside of a trap, it is the end of the next one.
    """

    usage = "rc until-sret"
    examples = ("rc until-sret",)

    def run(self, typed: TypedWords) -> dict[str, object]:
        from rcdbg.model.programs.explained import place_now
        from rcdbg.trace.run import describe

        self.no_more(typed)
        demand_hardware_steps()
        kernel = fresh_kernel()
        leaves = _leaves_trap(kernel)
        srets = _srets(kernel)
        there = kernel.registers.pc in srets and leaves(kernel)
        if not there and not run_until(srets, leaves):
            return self.tell(stopped_elsewhere("the sret of this trap"), typed.as_json)
        gdb.execute("stepi")
        kernel = fresh_kernel()
        place = place_now(kernel)
        document = {
            "happened": True,
            "note": f"back at {describe(place)}",
            "pc": f"{place.address:#x}",
        }
        return self.tell(document, typed.as_json)


def _srets(kernel: Kernel) -> list[int]:
    """Where the kernel's trap return has an sret, as it runs; raises UsageError if it has none."""
    from rcdbg.kernels.recognise import demand_symbol
    from rcdbg.kernels.trampoline import running_at
    from rcdbg.riscv.code import SRET, instructions

    leaving = kernel.description.trap.exit
    name, start = demand_symbol(kernel.image, leaving, "the way out of a trap")
    symbol = kernel.image.symbols.covering(start)
    later = (s.address for s in kernel.image.symbols if s.address > start and s.kind == "code")
    end = start + symbol.size if symbol and symbol.size else next(later, start + _MAX_CODE)
    code = kernel.own_memory.read(start, min(end - start, _MAX_CODE))
    found = [address for address, word in instructions(code, start) if word == SRET]
    # Where they run may be another place than where they are linked.
    elsewhere = [running_at(kernel.image, kernel.description.trap, a) for a in found]
    found = [a if moved is None else moved for a, moved in zip(found, elsewhere, strict=True)]
    if not found:
        raise UsageError(f"{name} has no sret in {len(code)} bytes at {start:#x}")
    elsewhere = [running_at(kernel.image, kernel.description.trap, address) for address in found]
    return [a if b is None else b for a, b in zip(found, elsewhere, strict=True)]


def _leaves_trap(kernel: Kernel) -> Happened:
    """At an sret, whether it leaves the trap that is being handled now, not one inside it.

    The call stack tells how deep in traps the kernel is; where it cannot, the stack pointer that a
    trap restores: what was interrupted inside a handler has its own in the kernel stack.
    """
    from rcdbg.model.threads.trap import kernel_stack, trap_depth
    from rcdbg.model.values.value import DecodeError

    depth = trap_depth(kernel)
    if depth is None:
        return lambda _: True
    try:
        stack = kernel_stack(kernel)
    except DecodeError:
        stack = None
    if depth > 1 or (depth == 0 and stack is not None and kernel.registers.sp in stack):
        stack = None  # there, the code to go back to may well be on that stack

    def leaves(at_sret: Kernel) -> bool:
        if stack is not None and stack.start <= at_sret.registers.sp < stack.end:
            return False
        now = trap_depth(at_sret)
        return now is None or now <= max(depth, 1)

    return leaves


def _named(thread: Thread | None, number: int | None) -> str:
    """`thread 0`, with its process where ids count in each."""
    of = None if thread is None else thread.process_id
    return f"thread {number}" + (f" of process {of}" if of not in (None, number) else "")


class _NextSwitch(RunningCommand):
    """Run until another thread is about to go on, or the one with the number ID.

    The kernel then stands at the start of its trap return: `rc until-sret` enters the thread.
    """

    usage = "rc next-switch [to ID]"
    examples = ("rc next-switch", "rc next-switch to 3")
    words = ("to",)

    def run(self, typed: TypedWords) -> dict[str, object]:
        from rcdbg.model.threads.processor import read_processor
        from rcdbg.trace.conditions import switch

        condition = switch(_thread_id(typed.words))
        kernel = fresh_kernel()
        before = read_processor(kernel)
        if before.problems:
            problem = before.problems[0]
            raise TargetError(f"{problem.where}: {problem.why}")
        condition.happened(kernel)  # it compares with the thread of this moment
        if not run_until(condition.places(kernel.image, kernel.description), condition.happened):
            return self.tell(stopped_elsewhere(str(condition)), typed.as_json)
        now = read_processor(fresh_kernel()).current
        was = before.current.id if before.current else None
        to = now.id if now else None
        # On the way to a certain thread there may have been others.
        direct = was is not None and condition.to is None
        name = _named(now, to)
        gone = _named(before.current, was)
        note = f"{gone} gave way to {name}" if direct else f"{name} goes on"
        document = {"happened": True, "note": note, "from": was if direct else None, "to": to}
        return self.tell(document, typed.as_json)


def _thread_id(words: Sequence[str]) -> int | None:
    if not words:
        return None
    try:
        keyword, number = words
        if keyword == "to":
            return int(number, 0)
    except ValueError:
        pass
    raise UsageError("rc next-switch wants nothing, or to ID: rc next-switch to 3")


class _StepIrq(Command):
    """Say whether stepi takes pending interrupts, or set it.

    QEMU masks interrupts while it steps, so that one stays in the code that one steps through.
    With `on`, a step enters the handler of an interrupt that is pending. No word: how it is now.
    """

    usage = "rc step-irq [on|off]"
    examples = ("rc step-irq on", "rc step-irq")
    words = ("on", "off")

    def run(self, typed: TypedWords) -> dict[str, object]:
        from rcdbg.model.serial import state as serial

        words = typed.words
        if len(words) > 1 or any(word not in self.words for word in words):
            raise UsageError(f"rc step-irq wants on or off, not {' '.join(words)!r}")
        connection = demand_machine()
        mode = step_mode(connection)
        if words:
            mode = STEP_WITH_INTERRUPTS if words[0] == "on" else STEP_ALONE
            if not set_step_mode(connection, mode):
                raise TargetError(f"QEMU refuses to have {' '.join(words)} here: is it a replay?")
        taken = not mode & STEP_MASKS_INTERRUPTS
        if not typed.as_json:
            say(f"rcdbg: stepi {'takes' if taken else 'masks'} interrupts")
        return serial.document("step_irq", {"taken": taken, "sstep": mode})


def _is_riscv() -> bool:
    return gdb.selected_inferior().architecture().name().startswith("riscv")


def demand_hardware_steps() -> None:
    """Raises UsageError where gdb would step in software, past ecall and sret."""
    if gdb.parameter("osabi") != "none":
        raise UsageError("set osabi none first, and connect again: gdb would step past sret")


@functools.cache
def _warn_once(text: str) -> None:
    gdb.write(f"rcdbg: {safe_lines(text)}\n", gdb.STDERR)


def mend_osabi(*_: object) -> None:
    """Before a connection, make gdb step as a kernel needs it; later, say what to do.

    Under the GNU/Linux ABI, its default for RISC-V, gdb steps by breakpoints after the
    instruction, which `ecall` and `sret` never reach. Other architectures are left alone.
    """
    if gdb.parameter("osabi") == "none" or not _is_riscv():
        return
    if gdb.selected_inferior().pid:
        _warn_once(
            "stepi will run past ecall and sret: disconnect, set osabi none, and connect again"
        )
    else:
        gdb.execute("set osabi none")


def follow_connections() -> None:
    """Have gdb step as a kernel needs it, from now on."""
    mend_osabi()
    gdb.events.new_objfile.connect(mend_osabi)


def commands() -> list[Command]:
    """Those that let the kernel run to a place."""
    return [_NextTrap(), _UntilSret(), _NextSwitch(), _StepIrq()]
