"""`rc break`: breakpoints in programs; `rc programs-in`: where else programs are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gdb

from gdbscripts.framework import SOURCES, Command, TypedWords, say
from gdbscripts.machine.kernel import current_image, forget, fresh_kernel
from rcdbg.errors import RcdbgError, UsageError
from rcdbg.subjects.prompt import offered
from rcdbg.words import Option

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel
    from rcdbg.model.programs.places import UserPlace


class _InProgram(gdb.Breakpoint):
    """A breakpoint at an address that counts in one program, or in one process, alone."""

    def __init__(self, address: int, place: UserPlace, group: list[_InProgram] | None) -> None:
        """With a `group` it is gone after a stop, and so are the others of the group."""
        super().__init__(f"*{address:#x}", temporary=group is not None)
        self._place, self._group = place, group
        if group is not None:
            group.append(self)

    def stop(self) -> bool:
        """Whether the hart is there; where that cannot be told, it stops as well."""
        try:
            here = self._place.is_here(fresh_kernel())
        except (RcdbgError, gdb.error):
            here = True
        if here and self._group is not None:
            gdb.events.stop.connect(self._end_group)
        return here

    def _end_group(self, _: object) -> None:
        """Once the kernel stands; gdb itself takes out this one."""
        gdb.events.stop.disconnect(self._end_group)
        for other in self._group or ():
            if other is not self and other.is_valid():
                other.delete()


class _Break(Command):
    """Stop in one program, or in one process: no other with the same address is stopped.

    WHO is a program's name or a process's number, which need not be there yet; PLACE is a symbol,
    an address (0x...), or FILE:LINE. gdb lists the breakpoint, and `delete` takes it out.
    """

    usage = "rc break WHO:PLACE"
    examples = ("rc break hello:main", "rc break 3:main", "rc break 3:0x10000")
    options = (Option("--once", "take it out at the first stop"),)
    kind = gdb.COMMAND_BREAKPOINTS

    def run(self, typed: TypedWords) -> dict[str, object]:
        """Set it; one of gdb's for each address that it may have."""
        from rcdbg.model.programs.places import user_place
        from rcdbg.model.serial import state as serial

        text = " ".join(typed.words)
        place = user_place(text)
        if place is None:
            raise UsageError(f"rc break wants WHO:PLACE, such as hello:main, and not {text!r}")
        group: list[_InProgram] | None = [] if "--once" in typed.given else None
        addresses = place.addresses(current_image(), _kernel())
        places = [
            {"number": _InProgram(a, place, group).number, "address": f"{a:#x}"} for a in addresses
        ]
        if not typed.as_json:
            more = f" to {places[-1]['number']}" if len(places) > 1 else ""
            say(f"rcdbg: breakpoint {places[0]['number']}{more} at {place}")
        return serial.document("break", {"place": str(place), "breakpoints": places})


def _kernel() -> Kernel | None:
    """The kernel at this stop; None if there is none yet, or no more."""
    try:
        return fresh_kernel()
    except (RcdbgError, gdb.error):
        return None


class _ProgramsIn(Command):
    """Look for programs in a folder, in a disk image, or in an ELF as well."""

    usage = "rc programs-in PLACE..."
    examples = ("rc programs-in ../user", "rc programs-in fs.img")
    json = False

    def run(self, typed: TypedWords) -> None:
        """The next command knows them."""
        from rcdbg.image.programs.shelf import programs_of

        places = [Path(word).expanduser() for word in typed.words]
        if not places:
            raise UsageError("rc programs-in wants a folder, a disk image or an ELF")
        for place in places:
            if not place.exists():
                raise UsageError(f"{place}: no such folder or file")
        programs_of(current_image()).look_in(places)
        forget()

    def offers(self, before: list[str], typed: str) -> list[str]:
        """Files."""
        return offered("file", typed, SOURCES)


def commands() -> list[Command]:
    """All of them."""
    return [_Break(), _ProgramsIn()]
