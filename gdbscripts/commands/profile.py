"""`rc profile`: the names that this kernel uses, from a TOML file."""

from pathlib import Path

from gdbscripts.framework import SOURCES, Command, TypedWords
from gdbscripts.machine.kernel import use_names
from rcdbg.errors import UsageError
from rcdbg.subjects.prompt import offered


class Profile(Command):
    """Take the names of the kernel's types, fields and symbols from a TOML file.

    What differs from the description of its family: a table for each concept, as in
    [processor] type = "Cpu". With the word `default`, nothing differs.
    """

    usage = "rc profile FILE"
    examples = ("rc profile mykernel.toml", "rc profile default")
    words = ("default",)
    json = False

    def run(self, typed: TypedWords) -> None:
        """Read the file; the next command uses it."""
        from rcdbg.kernels.reading import NOTHING, load_overlay

        if len(typed.words) != 1:
            raise UsageError("rc profile wants a file, or default")
        (word,) = typed.words
        use_names(NOTHING if word == "default" else load_overlay(Path(word).expanduser()))

    def offers(self, before: list[str], typed: str) -> list[str]:
        """Files."""
        return [*self.words, *offered("file", typed, SOURCES)]
