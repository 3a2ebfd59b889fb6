"""A function at its entry, or right behind its call: what it was given, and what it returned."""

from collections.abc import Callable

from rcdbg.image.elf import Image
from rcdbg.image.types import EnumType
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.parts import has, number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.paging import Scheme
from rcdbg.riscv.registers import MASK64
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers import arguments as abi
from rcdbg.trace.observers.plain import Plain, plain
from rcdbg.trace.observers.probes import Probe

_ALL_PAGES = 1 << 64 - PAGE_SHIFT

STALE = "read from memory that may have changed since"


class Call:
    """A function at its entry, or behind its call: its arguments, decoded when asked for."""

    def __init__(
        self,
        image: Image,
        kernel: Kernel,
        moment: Moment,
        probe: Probe,
        how: abi.Signature | None,
    ) -> None:
        self._types = image.types
        self._how = how
        self._kernel = kernel
        self._moment = moment
        self._probe = probe
        self._read_memory = False
        self._notes: list[str] = []

    def _read(self, address: int, size: int) -> bytes:
        self._read_memory = True
        return self._kernel.memory.read(address, size)

    def marks(self) -> tuple[str, ...]:
        """What is not certain about what was decoded so far."""
        stale = self._read_memory and not self._moment.memory_is_current()
        return (*self._notes, *((STALE,) if stale else ()))

    def value(self, position: int) -> Value:
        """The argument at that position; raises DecodeError if it cannot be had."""
        return abi.named(self._arguments(), position)

    def thread(self) -> Value:
        """The argument that holds a thread: the first one after `self`."""
        return self.value(1)

    def result(self, entry_a0: int) -> Value | None:
        """What the function returned: the inside of an Option or a Result; None for neither."""
        if self._how is None:
            raise DecodeError("result", "the function is not in the debug info")
        x = self._moment.registers.x
        return held(abi.returned(self._how, self._types, x, self._read, entry_a0))

    def page(self, position: int) -> int:
        """The first address of a page."""
        return page_address(abi.number_in(self.value(position)), self._kernel.memory.satp.tables)

    def pages(self, position: int) -> tuple[int, int]:
        """First address and number of pages of a range of pages, a segment, or one page."""
        value, scheme = self.value(position), self._kernel.memory.satp.tables
        target = getattr(value.type, "target", None)
        if target is not None:
            value = value.at(target, value.scalar(), value.path)
        names = self._kernel.description
        if not has(value, names.area.start):
            return page_address(value.scalar(), scheme), 1
        start, last = part(value, names.area.start), number(value, names.area.end)
        first = start.scalar()
        if base_name(start.type) in names.units.addresses:
            first, last = first >> PAGE_SHIFT, last + PAGE_SIZE - 1 >> PAGE_SHIFT
        address = page_address(first, scheme)
        extended = first | scheme.upper_half >> PAGE_SHIFT
        if not first <= last <= _ALL_PAGES or address >> PAGE_SHIFT not in (first, extended):
            raise DecodeError(value.path, f"{first:#x}..{last:#x} is no range of pages")
        return address, last - first

    def plain(self, symbol: Callable[[int], str | None]) -> dict[str, Plain]:
        """All arguments by name; one that cannot be had is a `?` and a mark."""
        found: dict[str, Plain] = {}
        function = self._probe.function
        if function is not None and function.is_altered:
            self._notes.append("the compiler has changed how the function is called")
        for position, argument in enumerate(self._arguments()):
            name = argument.name or f"argument {position}"
            try:
                found[name] = plain(abi.named((argument,), 0), symbol)
            except DecodeError as error:
                found[name] = "?"
                self._notes.append(f"{name}: {error.problem.why}")
        return found

    def _arguments(self) -> tuple[abi.CallArgument, ...]:
        if self._how is None:
            return ()
        return abi.arguments(self._how, self._types, self._moment.registers.x, self._read)


def held(value: Value) -> Value | None:
    """The inside of an Option or a Result, None for None or Err; any other value itself."""
    if not isinstance(value.type, EnumType):
        return value
    name, inside = value.variant()
    if name in ("None", "Err"):
        return None
    return inside["__0"] if inside.has("__0") else inside


def page_address(vpn: int, scheme: Scheme) -> int:
    """The first address of a virtual page, whether its number has the scheme's bits or 52."""
    va = vpn << PAGE_SHIFT & MASK64
    return scheme.extended(va) if vpn < scheme.pages else va
