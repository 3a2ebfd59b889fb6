"""A kernel at one moment: its image, the machine's memory and registers, and where things are."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rcdbg.errors import UsageError
from rcdbg.guest.protocol import Registers, Target
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.elf import Image
from rcdbg.image.types import Static, StructType, TypeId, TypeTable, UnionType
from rcdbg.kernels.description import NO_NAMES, UNKNOWN, Description, Names, Paths
from rcdbg.kernels.paths import parse_relative
from rcdbg.kernels.reading import NOTHING, Overlay
from rcdbg.kernels.recognise import describe, first_symbol
from rcdbg.model.by_types import by_types
from rcdbg.model.remember import Remembered
from rcdbg.model.state import Place
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Space, Value
from rcdbg.model.values.ways import way
from rcdbg.riscv.paging import walk
from rcdbg.riscv.registers import unsigned

NOT_DESCRIBED = (
    "rcdbg does not recognise this kernel: what it calls its things can be told with --profile"
)


def types_inside(types: TypeTable, root: TypeId) -> list[TypeId]:
    """`root` and the types of the fields inside it, breadth first, pointers not followed."""
    found, queue, seen = [], deque([(root, 0)]), {root}
    while queue:
        type_id, depth = queue.popleft()
        found.append(type_id)
        kind = types.type(type_id)
        if depth == MAX_DEPTH or not isinstance(kind, StructType | UnionType):
            continue
        for member in kind.members:
            if member.type not in seen:
                seen.add(member.type)
                queue.append((member.type, depth + 1))
    return found


def holder_of(types: TypeTable, names: Names) -> Static | None:
    """The static that holds a struct with one of these names, the least wrapped one, or None."""
    return by_types(types, ("static", names), lambda: _holder_of(types, names))


def _holder_of(types: TypeTable, names: Sequence[str]) -> Static | None:
    best: tuple[int, Static] | None = None
    for static in types.statics():
        if not types.type(static.type).size:
            continue  # the handle of a lazy_static, not its data
        for depth, type_id in enumerate(types_inside(types, static.type)):
            kind = types.type(type_id)
            if isinstance(kind, StructType) and base_name(kind) in names:
                if best is None or depth < best[0]:
                    best = (depth, static)
                break
    return best[1] if best else None


@dataclass(frozen=True, slots=True)
class Kernel:
    """One moment of a kernel, ready for the decoders.

    Whoever makes one says by it that memory and registers are those of one moment: translations,
    and what decoders marked `once_a_moment` find, are remembered with it. After a step of the
    machine, or a write to its memory, it takes a new one.
    """

    image: Image
    target: Target
    registers: Registers
    memory: VirtualMemory
    overlay: Overlay = NOTHING
    """What the user says of its names."""
    remembered: Remembered = field(
        default_factory=Remembered, init=False, compare=False, repr=False
    )

    @classmethod
    def now(cls, image: Image, target: Target, overlay: Overlay = NOTHING) -> "Kernel":
        """The kernel as the target has it at this moment; raises TargetError if it is gone.

        Its family is recognised; `overlay` is what the user says of its names.
        """
        registers = target.registers()
        satp = unsigned(registers.csrs.get("satp", 0))
        memory = VirtualMemory(target, satp, image.physical)
        return cls(image, target, registers, memory, overlay)

    @property
    def description(self) -> Description:
        """What its things are called; raises ImageError if its debug info is damaged."""
        return describe(self.image, self.overlay)

    @property
    def not_described(self) -> str:
        """Why something that the description leaves out is not known, in words."""
        description = self.description
        if description.family == UNKNOWN.family:
            return NOT_DESCRIBED
        return f"{description.title}: rcdbg knows of none in this family of kernels"

    @property
    def space(self) -> Space:
        """For typed values of this moment."""
        return Space(self.image.types, self.own_memory.read)

    @property
    def own_memory(self) -> VirtualMemory:
        """Memory as the kernel sees it, whosever table is in satp.

        A kernel with a table of its own is not in those of its processes; since that table maps
        memory to itself, it is read by physical addresses then.
        """
        if not self.description.address_space.list:
            return self.memory
        return self.remembered.answer(_own_memory, lambda: _own_memory(self))

    def linked(self, address: int) -> int:
        """Where code is linked that runs at another address, as in a trampoline; else `address`."""
        if not self.description.address_space.list or self.image.symbols.at(address):
            return address
        return self.remembered.answer((_linked, address), lambda: _linked(self, address))

    def csr(self, name: str) -> int | None:
        """A CSR's unsigned value, or None if the target did not give it."""
        value = self.registers.csrs.get(name)
        return None if value is None else unsigned(value)

    def place(self, address: int) -> Place:
        """`address` with its symbol and source line."""
        linked = self.linked(address)
        found = self.image.symbols.at(linked)
        line = self.image.lines.lookup(linked) if found else None
        name, offset = found if found else (None, 0)
        if line is None:
            return Place(address, name, offset)
        return Place(address, name, offset, line.file, line.line)

    def symbol(self, name: str) -> int | None:
        """The address of a symbol, or None if there is none, or several."""
        try:
            return self.image.symbols.address_of(name)
        except UsageError:
            return None

    def first_symbol(self, names: Names) -> int | None:
        """The address of the first of these symbols that the kernel has, or None."""
        found = first_symbol(self.image, names)
        return None if found is None else found[1]

    def static_holding(self, names: Names | str, what: str = "it") -> Value:
        """The static that keeps a struct of that name; raises DecodeError if there is none.

        `what` it is, in words, for a kernel of which nobody has said the name.
        """
        names = Names((names,)) if isinstance(names, str) else names
        where, types = names.first or what, self.image.types
        if not self.image.has_debug_info:
            why = "the ELF has no debug info: build the kernel with `debug = true`"
            raise DecodeError(where, why)
        if not names:
            raise DecodeError(where, self.not_described)
        found = holder_of(types, names)
        if found is None:
            raise DecodeError(where, f"no static of the kernel holds a {names.first}")
        return Value(self.space, found.type, found.address, found.path)

    def struct_with(self, names: Names, *parts: Paths) -> TypeId:
        """The struct of that name that has all these parts; raises DecodeError if there is none."""
        types = self.image.types

        def search() -> TypeId | None:
            for name in names:
                for type_id in types.types_named(name):
                    kind = types.type(type_id)
                    if isinstance(kind, StructType) and all(
                        way(types, type_id, part, NO_NAMES) for part in parts
                    ):
                        return type_id
            return None

        found = by_types(types, ("struct", names, parts), search)
        if found is None:
            fields = ", ".join(part.first for part in parts)
            raise DecodeError(names.first, f"no struct {names.first} with {fields}")
        return found

    def struct_named(self, name: str, fields: Sequence[str]) -> TypeId:
        """The struct `name` that has all `fields`; raises DecodeError if there is none."""
        return self.struct_with(Names((name,)), *(Paths((parse_relative(f),)) for f in fields))


def _own_memory(kernel: Kernel) -> VirtualMemory:
    """The memory by satp if its table has the kernel, else that of physical addresses."""
    image, satp = kernel.image, kernel.memory.satp
    loaded = next((s.address for s in image.sections if s.size and "a" in s.flags), None)
    if loaded is None or not satp.translates:
        return kernel.memory
    if walk(kernel.target.read_phys, satp, loaded).physical == image.physical(loaded):
        return kernel.memory
    return VirtualMemory(kernel.target, 0, image.physical)


def _linked(kernel: Kernel, address: int) -> int:
    satp = kernel.memory.satp
    found = walk(kernel.target.read_phys, satp, address).physical if satp.translates else None
    for section in kernel.image.sections if found is not None else ():
        if section.size and "x" in section.flags:
            start = kernel.image.physical(section.address)
            if start is not None and found is not None and 0 <= found - start < section.size:
                return section.address + found - start
    return address
