"""The breakpoints of one machine: the user's, and those that are there to get somewhere once."""

from collections.abc import Sequence
from dataclasses import replace

from rcdbg.image.elf import Image
from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.mi import GdbError
from rcdbg.machine.gdb.records import Breakpoint
from rcdbg.machine.stop import Stop
from rcdbg.model.programs.places import UserPlace, user_place
from rcdbg.model.state import Trap
from rcdbg.model.unwinding.steps import UserStep
from rcdbg.tui.live.console import Console

NEXT_TRAP, STEPPED = "next trap", "stepped"


class Breakpoints:
    """Sets them, and knows why they are there."""

    def __init__(self, gdb: Gdb, image: Image, console: Console) -> None:
        self._gdb = gdb
        self._image = image
        self._console = console
        self._goals: dict[int, str] = {}
        """Breakpoints of ours, by number, that are there to get somewhere once."""
        self._kept: dict[int, str] = {}
        """Those of ours that stay: gdb's `delete` takes one out."""
        self._watched: set[int] = set()
        self._names: dict[int, str] = {}
        """What the user called a breakpoint, by number, where gdb calls it an address."""

    def run_to(self, address: int, words: str, hit: int = 1) -> None:
        """Let the guest run until it is at `address` for the how-manieth time, and stop there."""
        if address == self._image.entry:
            # Paging is off there, and the pc a physical address.
            address = self._image.physical(address) or address
        number = self._gdb.insert_breakpoint(address, temporary=True)
        self._goals[number] = words
        if hit > 1:
            self._gdb.command(f"-break-after {number} {hit - 1}")
        self._gdb.resume()

    def keep(self, address: int, words: str) -> None:
        """Stop at an address whenever the guest comes there; it is none of the user's."""
        self._kept[self._gdb.insert_breakpoint(address)] = words
        self._watched.add(address)

    def keeps(self, address: int) -> bool:
        """Whether one of ours has been set there, to stay."""
        return address in self._watched

    def run_into(self, place: UserPlace, words: str, hit: int = 1) -> None:
        """The same for a place in a program."""
        for number in self._in_program(place, "--once "):
            self._goals[number] = words
            if hit > 1:
                self._gdb.command(f"-break-after {number} {hit - 1}")
        self._gdb.resume()

    def run_step(self, step: UserStep) -> None:
        """Let the guest run to the end of a step in a program."""
        for place in step.places:
            number = self._gdb.insert_breakpoint(
                place, temporary=True, condition=step.condition(place)
            )
            self._goals[number] = STEPPED
        self._gdb.resume()

    def _in_program(self, place: UserPlace, options: str = "") -> list[int]:
        made = self._console.document(f"rc break {options}{place}")["break"]["breakpoints"]
        return [one["number"] for one in made]

    def add(self, location: str) -> Breakpoint:
        """One of the user's, at a symbol, a line or an address; the guest must stand.

        In a program it is `hello:main` or `3:main`.
        """
        if (place := user_place(location)) is not None:
            numbers = self._in_program(place)
            self._names |= dict.fromkeys(numbers, location)
            return next(b for b in self._gdb.breakpoints() if b.number == numbers[0])
        address = self._image.symbols.address_of(location)
        if address is not None and self._image.lines.lookup(address) is None:
            # Where a prologue ends, gdb can only guess without source lines.
            number = self._gdb.insert_breakpoint(address)
        else:
            try:
                number = self._gdb.insert_breakpoint(location)
            except GdbError:
                # gdb knows no path with traits or impl blocks in it; the symbol table does.
                if address is None:
                    raise
                number = self._gdb.insert_breakpoint(address)
        self._names[number] = location
        return next(b for b in self._gdb.breakpoints() if b.number == number)

    def at_a_stop(self) -> list[Breakpoint]:
        """The user's, now that the guest stands; those of ours are taken out.

        Held up on the way, the guest is not sent there any more.
        """
        every = self._gdb.breakpoints()
        for left in (b.number for b in every if b.number in self._goals):
            self._gdb.remove_breakpoint(left)
        return [
            replace(b, location=self._names.get(b.number, b.location))
            for b in every
            if b.number not in self._goals and b.number not in self._kept
        ]

    def reason(self, stop: Stop, breakpoints: Sequence[Breakpoint], trap: Trap) -> str:
        """Why the guest stands, in words; `breakpoints` are the user's."""
        if stop.reason == "breakpoint":
            if stop.breakpoint in self._kept:
                return self._kept[stop.breakpoint]
            if stop.breakpoint in self._goals:
                words = self._goals[stop.breakpoint]
                return f"{words}: {trap.cause}" if words == NEXT_TRAP and trap.cause else words
            found = next((b for b in breakpoints if b.number == stop.breakpoint), None)
            if found is None:
                return f"breakpoint {stop.breakpoint}"
            return f"{found.kind} {found.number} at {found.location}"
        if stop.reason == "signal":
            return f"gdb was told of signal {stop.signal}"
        return {"step": "stepped", "interrupt": "interrupted"}.get(stop.reason, stop.reason)
