"""Conditions that a run can stop at, found by symbols and state, never by line numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image
from rcdbg.image.resolve import resolve
from rcdbg.kernels.description import Description
from rcdbg.kernels.recognise import demand_handler, demand_symbol
from rcdbg.kernels.trampoline import running_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.places import user_place
from rcdbg.model.threads.processor import read_processor
from rcdbg.riscv import causes


class Condition(Protocol):
    """Something to run until: places to stop at, and a question that is asked there."""

    def places(self, image: Image, description: Description) -> Sequence[int]:
        """Virtual addresses at which the kernel has to stop for a look."""

    def happened(self, kernel: Kernel) -> bool:
        """Whether it holds at the stop at one of the places; asked once at each."""


@dataclass(slots=True)
class AtPlace:
    """The kernel is about to execute the first instruction of a function, for the n-th time."""

    symbol: str
    """A place in the kernel, or in a program: `hello:main`, `3:main`."""
    hit: int = 1
    _seen: int = field(default=0, init=False, repr=False)

    def places(self, image: Image, description: Description) -> Sequence[int]:
        """The function's entry; raises UsageError for a symbol that does not exist.

        The kernel's own entry is executed before paging is on, at its physical address; code of a
        trampoline where that is mapped.
        """
        if (user := user_place(self.symbol)) is not None:
            return user.addresses(image)
        address = resolve(image, self.symbol)
        physical = image.physical(address) if address == image.entry else None
        elsewhere = running_at(image, description.trap, address)
        others = (place for place in (physical, elsewhere) if place is not None)
        return tuple(dict.fromkeys((address, *others)))

    def happened(self, kernel: Kernel) -> bool:
        """Whether this is the n-th time, in the program or the process that is meant."""
        user = user_place(self.symbol)
        if user is not None and not user.is_here(kernel):
            return False
        self._seen += 1
        return self._seen >= self.hit

    def __str__(self) -> str:
        return f"{self.symbol}:{self.hit}" if self.hit > 1 else self.symbol


@dataclass(frozen=True, slots=True)
class Trapped:
    """The kernel's trap handler is entered: the Context is saved, nothing is handled yet."""

    cause: str | None = None

    def places(self, image: Image, description: Description) -> Sequence[int]:
        """The entry of the trap handler; raises UsageError for a cause that does not exist."""
        if self.cause is not None and causes.named(self.cause) is None:
            known = ", ".join((*causes.EXCEPTIONS.values(), *causes.INTERRUPTS.values()))
            raise UsageError(f"no trap cause {self.cause!r}; known: {known}")
        return (demand_handler(image, description.trap)[1],)

    def happened(self, kernel: Kernel) -> bool:
        """Whether scause is the cause asked for."""
        return self.cause is None or kernel.csr("scause") == causes.named(self.cause)

    def __str__(self) -> str:
        return f"a trap ({self.cause})" if self.cause else "a trap"


@dataclass(slots=True)
class Switched:
    """Another thread than before is about to go on: its Context is ready to be restored."""

    to: int | None = None
    _before: int | None = field(default=None, init=False, repr=False)
    _known: bool = field(default=False, init=False, repr=False)

    def places(self, image: Image, description: Description) -> Sequence[int]:
        """Where every Context is restored, as it runs."""
        linked = demand_symbol(image, description.trap.exit, "the way out of a trap")[1]
        elsewhere = running_at(image, description.trap, linked)
        return (linked if elsewhere is None else elsewhere,)

    def happened(self, kernel: Kernel) -> bool:
        """Whether the current thread is another one than at the last restore."""
        current = read_processor(kernel).current
        # In some kernels ids count in each process: the thread itself tells one from another.
        now = current.address if current is not None and current.id is not None else None
        changed = now != self._before if self._known else now is not None
        self._before, self._known = now, True
        if not changed or current is None or now is None:
            return False
        return self.to is None or current.id == self.to

    def __str__(self) -> str:
        return f"a switch to thread {self.to}" if self.to is not None else "a thread switch"


@dataclass(frozen=True, slots=True)
class Exited:
    """QEMU ends because the kernel shut the machine down, with `status` if that is given."""

    status: int | None = None

    def places(self, image: Image, description: Description) -> Sequence[int]:
        """None: the end is seen without a stop."""
        return ()

    def happened(self, kernel: Kernel) -> bool:
        """Never at a stop."""
        return False

    def __str__(self) -> str:
        return "a shutdown" if self.status is None else f"a shutdown with status {self.status}"


def place(text: str, image: Image) -> AtPlace:
    """What SYMBOL or SYMBOL:HIT means; raises UsageError if there is no such place.

    SYMBOL may be one of a program's: see `rcdbg.model.programs.places`.
    """
    symbol, colon, hits = text.rpartition(":")
    is_line = "." in symbol and (user := user_place(text)) is not None and ":" in user.where
    if not colon or symbol.endswith(":") or not hits.strip().lstrip("-").isdigit() or is_line:
        symbol, hits = text, "1"
    if user_place(symbol) is None:
        resolve(image, symbol)
    return reached(symbol, int(hits))


def reached(symbol: str, hit: int = 1) -> AtPlace:
    """Until the function `symbol` is entered for the `hit`-th time from now on."""
    if hit < 1:
        raise UsageError(f"{symbol}:{hit}: hits are counted from 1")
    return AtPlace(symbol, hit)


def trap(cause: str | None = None) -> Trapped:
    """Until a trap is handled: any, or one whose cause (in words, or a part) is `cause`."""
    return Trapped(cause)


def switch(to: int | None = None) -> Switched:
    """Until another thread goes on: any, or the one with the id `to`."""
    return Switched(to)


def exited(status: int | None = None) -> Exited:
    """Until the machine is shut down."""
    return Exited(status)
