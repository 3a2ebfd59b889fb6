"""A kernel at one moment: its image, the machine's memory and registers, and where things are."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from rcdbg.errors import UsageError
from rcdbg.guest.protocol import Registers, Target
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.elf import Image
from rcdbg.image.types import Static, StructType, TypeId, UnionType
from rcdbg.kernels.description import Description
from rcdbg.kernels.reading import NOTHING, Overlay
from rcdbg.kernels.recognise import describe
from rcdbg.model.profile import Profile, flat_names
from rcdbg.model.remember import Remembered
from rcdbg.model.state import Place
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Space, Value
from rcdbg.riscv.registers import unsigned

DEFAULT_PROFILE = Profile()
_flat_names = lru_cache(maxsize=16)(flat_names)


def types_inside(image: Image, root: TypeId) -> list[TypeId]:
    """`root` and the types of the fields inside it, breadth first, pointers not followed."""
    found, queue, seen = [], deque([(root, 0)]), {root}
    while queue:
        type_id, depth = queue.popleft()
        found.append(type_id)
        kind = image.types.type(type_id)
        if depth == MAX_DEPTH or not isinstance(kind, StructType | UnionType):
            continue
        for member in kind.members:
            if member.type not in seen:
                seen.add(member.type)
                queue.append((member.type, depth + 1))
    return found


@lru_cache(maxsize=64)
def _holder_of(image: Image, name: str) -> tuple[Static, TypeId] | None:
    """The static that holds a value of the type `name`, least wrapped first, and that type."""
    best: tuple[int, Static, TypeId] | None = None
    for static in image.types.statics():
        if not image.types.type(static.type).size:
            continue  # the handle of a lazy_static, not its data
        for depth, type_id in enumerate(types_inside(image, static.type)):
            kind = image.types.type(type_id)
            if isinstance(kind, StructType) and base_name(kind) == name:
                if best is None or depth < best[0]:
                    best = (depth, static, type_id)
                break
    return best[1:] if best else None


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
    def now(cls, image: Image, target: Target, overlay: Overlay | Profile = NOTHING) -> "Kernel":
        """The kernel as the target has it at this moment; raises TargetError if it is gone.

        Its family is recognised; `overlay` is what the user says of its names.
        """
        registers = target.registers()
        satp = unsigned(registers.csrs.get("satp", 0))
        memory = VirtualMemory(target, satp, image.physical)
        overlay = overlay.overlay if isinstance(overlay, Profile) else overlay
        return cls(image, target, registers, memory, overlay)

    @property
    def description(self) -> Description:
        """What its things are called; raises ImageError if its debug info is damaged."""
        return describe(self.image, self.overlay)

    @property
    def profile(self) -> Profile:
        """The flat names, for callers that do not ask the description yet."""
        return _flat_names(self.description)

    @property
    def space(self) -> Space:
        """For typed values of this moment."""
        return Space(self.image.types, self.memory.read)

    def csr(self, name: str) -> int | None:
        """A CSR's unsigned value, or None if the target did not give it."""
        value = self.registers.csrs.get(name)
        return None if value is None else unsigned(value)

    def place(self, address: int) -> Place:
        """`address` with its symbol and source line."""
        found = self.image.symbols.at(address)
        line = self.image.lines.lookup(address) if found else None
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

    def static_holding(self, type_name: str) -> Value:
        """The static that keeps the value of that type; raises DecodeError if there is none."""
        if not self.image.has_debug_info:
            why = "the ELF has no debug info: build the kernel with `debug = true`"
            raise DecodeError(type_name, why)
        found = _holder_of(self.image, type_name)
        if found is None:
            raise DecodeError(type_name, f"no static of the kernel holds a {type_name}")
        static, _ = found
        return Value(self.space, static.type, static.address, static.path)

    def struct_named(self, name: str, fields: Sequence[str]) -> TypeId:
        """The struct `name` that has all `fields`; raises DecodeError if there is none."""
        for type_id in self.image.types.types_named(name):
            kind = self.image.types.type(type_id)
            if isinstance(kind, StructType) and all(kind.member(f) for f in fields):
                return type_id
        raise DecodeError(name, f"no struct {name} with the fields {', '.join(fields)}")
