"""Memory and registers of a kernel that stands, to read and to change: for injecting faults."""

from collections.abc import Callable

from rcdbg.errors import RcdbgError, UsageError
from rcdbg.image.types import BaseType, CEnumType, PointerType
from rcdbg.machine.stub.client import StubClient
from rcdbg.model.kernel import Kernel
from rcdbg.model.values import path
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.registers import ABI_NAMES, GDB_NAMES, MASK64

Now = Callable[[], Kernel]


class Memory:
    """Memory by virtual address, as the page table of the moment has it."""

    def __init__(self, stub: StubClient, now: Now) -> None:
        self._stub = stub
        self._now = now

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes; raises MemoryReadError where nothing is mapped."""
        return self._now().memory.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Store `data`, whatever the rights of the pages; raises MemoryReadError.

        Instructions may be changed, too. Of a changed page table the hart hears as it would on a
        real machine: its TLB may still have the old entries.
        """
        memory = self._now().memory
        pieces = []
        while data:
            room = PAGE_SIZE - address % PAGE_SIZE
            # All of them before the first write: a page that is not mapped changes nothing.
            pieces.append((memory.physical(address), data[:room]))
            address, data = address + room, data[room:]
        with self._stub.memory.physical():
            for physical, piece in pieces:
                self._stub.memory.write(physical, piece)


class RegisterFile:
    """Registers by name: `registers["a0"]`, `registers["satp"] = 0`; `x10` is a0."""

    def __init__(self, stub: StubClient) -> None:
        self._stub = stub

    def __getitem__(self, name: str) -> int:
        every = self._stub.regs.every()
        found = _register(name)
        if found not in every:
            raise UsageError(f"there is no register {name!r}")
        return every[found] & MASK64

    def __setitem__(self, name: str, value: int) -> None:
        self._stub.write_register(_register(name), value & MASK64)


def _register(name: str) -> str:
    """Its name in QEMU's stub."""
    number = name[1:]
    if name.startswith("x") and number.isdigit() and int(number) < len(GDB_NAMES):
        return GDB_NAMES[int(number)]
    return dict(zip(ABI_NAMES, GDB_NAMES, strict=True)).get(name, name)


def value_at(kernel: Kernel, text: str) -> int:
    """The number at a PATH such as `PROCESSOR.current_thread`; raises UsageError."""
    try:
        return path.resolve(kernel, text).scalar()
    except DecodeError as error:
        raise UsageError(str(error)) from error


def write_at(kernel: Kernel, memory: Memory, text: str, number: int) -> None:
    """Set the number at a PATH, in the size that its type has; raises UsageError."""
    try:
        value = _number(path.resolve(kernel, text))
    except DecodeError as error:
        raise UsageError(str(error)) from error
    kind = value.type
    signed = number < 0
    try:
        data = number.to_bytes(kind.size, "little", signed=signed)
    except OverflowError as error:
        raise UsageError(f"{number:#x} does not fit in {text}: a {kind.name}") from error
    try:
        memory.write(value.address, data)
    except RcdbgError as error:
        raise UsageError(f"{text}: {error}") from error


def _number(value: Value) -> Value:
    """The one number in a value, newtypes and cells looked through."""
    for _ in range(MAX_DEPTH):
        if isinstance(value.type, BaseType | PointerType | CEnumType):
            return value
        fields = value.fields()
        if len(fields) != 1:
            break
        value = fields[0]
    raise DecodeError(value.path, f"{value.type.name} is not a single number")
