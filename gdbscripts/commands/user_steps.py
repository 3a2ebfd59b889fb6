"""`rc step`, `rc next`, `rc finish`: gdb's own, for programs in U-mode too.

In the kernel they are gdb's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gdb

from gdbscripts.commands.stepping import RunningCommand, run_until, stopped_elsewhere
from gdbscripts.framework import Command, TypedWords
from gdbscripts.machine.kernel import fresh_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from rcdbg.model.kernel import Kernel
    from rcdbg.model.unwinding.steps import UserStep

_USER = 0


class _Step(RunningCommand):
    """What the three have in common."""

    own: str
    """gdb's command of that kind."""

    def plan(self) -> Callable[[Kernel], UserStep]:
        """Where it may end."""
        raise NotImplementedError

    def run(self, typed: TypedWords) -> dict[str, object]:
        """Run there; the rest of the system may run meanwhile."""
        from rcdbg.model.programs.explained import place_now
        from rcdbg.trace.run import describe

        self.no_more(typed)
        kernel = fresh_kernel()
        if kernel.registers.privilege != _USER:
            gdb.execute(self.own)
        else:
            step = self.plan()(kernel)
            if not run_until(step.places, step.happened):
                return self.tell(stopped_elsewhere("the end of the step"), typed.as_json)
        place = place_now(fresh_kernel())
        note = f"at {describe(place)}"
        document = {"happened": True, "note": note, "pc": f"{place.address:#x}"}
        return self.tell(document, typed.as_json)


class _Line(_Step):
    """To the next source line, into functions; in a program also where gdb has no symbols.

    Without lines it is one instruction. Over an `ecall` it runs the kernel, and comes back to the
    same task; `stepi` enters the kernel.
    """

    usage = "rc step"
    examples = ("rc step",)
    own = "step"

    def plan(self) -> Callable[[Kernel], UserStep]:
        from rcdbg.model.unwinding.steps import next_line

        return lambda kernel: next_line(kernel, into=True)


class _Over(_Step):
    """To the next source line of this function; in a program also where gdb has no symbols.

    Without lines it is one instruction, or a whole call. Over an `ecall` it runs the kernel, and
    comes back to the same task; `stepi` enters the kernel.
    """

    usage = "rc next"
    examples = ("rc next",)
    own = "next"

    def plan(self) -> Callable[[Kernel], UserStep]:
        from rcdbg.model.unwinding.steps import next_line

        return next_line


class _Out(_Step):
    """Until this function returns; in a program also where gdb has no symbols."""

    usage = "rc finish"
    examples = ("rc finish",)
    own = "finish"

    def plan(self) -> Callable[[Kernel], UserStep]:
        from rcdbg.model.unwinding.steps import to_caller

        return to_caller


def commands() -> list[Command]:
    """All of them."""
    return [_Line(), _Over(), _Out()]
