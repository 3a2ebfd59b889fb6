"""`rc describe`: what the kernel in gdb's ELF is taken for, and what was found of it."""

from typing import Any

from gdbscripts.answers import show
from gdbscripts.framework import Command, TypedWords
from gdbscripts.machine.kernel import current_image, current_names


class Describe(Command):
    """Show which kernel this is taken for, by what, and what was found of it in the ELF.

    For each thing that the description of its family names: where it is, or what comes nearest.
    No machine is needed. `rc profile FILE` tells other names.
    """

    usage = "rc describe"
    examples = ("rc describe", "rc describe --json")

    def run(self, typed: TypedWords) -> Any:
        """Look everything up, print."""
        from rcdbg.model.described.read import read_described

        self.no_more(typed)
        described = read_described(current_image(), current_names())
        if typed.as_json:
            from rcdbg.model.serial.described import described as serialised
            from rcdbg.model.serial.state import document

            return document("described", serialised(described))
        from rcdbg.views.described import view

        show(view(described))
        return None
