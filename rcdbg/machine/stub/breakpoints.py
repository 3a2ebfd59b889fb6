"""Breakpoints in the stub: several of ours at one address are one there."""

import itertools

from rcdbg.machine.stub.link import StubLink
from rcdbg.machine.stub.wire import StubError


class StubBreakpoints:
    """Those that were put in over `link`, by an id each."""

    def __init__(self, link: StubLink) -> None:
        self._link = link
        self._addresses: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def insert(self, address: int) -> int:
        """Stop before each execution of virtual `address`, in any address space; returns an id."""
        number = next(self._numbers)
        if not self.has(address):
            self._link.demand_ok(b"Z0,%x,4" % address)
        self._addresses[number] = address
        return number

    def remove(self, number: int) -> None:
        """Take out the breakpoint with this id; raises StubError if there is none."""
        if number not in self._addresses:
            raise StubError(f"there is no breakpoint {number}")
        address = self._addresses.pop(number)
        if not self.has(address):
            self._link.demand_ok(b"z0,%x,4" % address)

    def remove_all(self) -> None:
        """Take all of them out."""
        for number in list(self._addresses):
            self.remove(number)

    def has(self, address: int | None) -> bool:
        """Whether one of them is there."""
        return address in self._addresses.values()

    def at(self, address: int) -> int | None:
        """The id of the first one there; None if there is none."""
        return next((key for key, place in self._addresses.items() if place == address), None)
