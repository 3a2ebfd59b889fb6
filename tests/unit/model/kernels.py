"""A made-up kernel around a World: statics, an image that knows them, and memory."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.elf import Image
from rcdbg.image.types import ArrayType, Member, Static, StructType, TypeId
from rcdbg.kernels.reading import Overlay
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.value import Value
from tests.unit.model.world import BASE, World

LAB = Overlay(family="lab")


class WorldOfStatics(World):
    """A World that has statics as well."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.known: list[Static] = []
        self._arcs: dict[TypeId, TypeId] = {}

    def statics(self) -> Iterator[Static]:
        return iter(self.known)

    def type_names(self) -> Iterator[str]:
        return (t.name.split("<")[0].rsplit("::", 1)[-1] for t in self.table.values())

    def lost_statics(self) -> Iterator[str]:
        return iter(())

    def static(self, name: str, value: Value) -> Value:
        """Make a value that is in memory a static."""
        self.known.append(Static(f"os::{name}", name, value.address, value.type_id))
        return value

    def array_of(self, element: TypeId, count: int) -> TypeId:
        return self.add(ArrayType("[T]", self.size(element) * count, element, count))

    def vec_type(self, element: TypeId, name: str = "alloc::vec::Vec<T>") -> TypeId:
        fields = [("buf", self.raw_vec(element)), ("len", self.u64)]
        if "VecDeque" in name:
            fields.append(("head", self.u64))
        return self.struct(name, fields, [("T", element)])

    def fill_vec(self, value: Value, length: int, capacity: int, head: int = 0) -> list[Value]:
        """Give a Vec or VecDeque room; returns its elements, first one first, to be written."""
        element = value.parameter("T")
        size = self.size(element)
        buffer = self.alloc(size * capacity + 8)
        self.set(value, "buf", "inner", "ptr", "__0", buffer)
        self.set(value, "buf", "inner", "cap", "__0", capacity)
        self.set(value, "len", length)
        if value.has("head"):
            self.set(value, "head", head)
        places = [(head + i) % capacity for i in range(length)]
        return [self.value(element, buffer + size * place) for place in places]

    def mutex_of(self, inner: TypeId) -> TypeId:
        """The type of a spin::Mutex of it."""
        flag = self.wrapped("core::sync::atomic::AtomicBool", self.u8)
        cell = self.struct("core::cell::UnsafeCell<T>", [("value", inner)])
        spin = self.struct("spin::mutex::spin::SpinMutex<T>", [("lock", flag), ("data", cell)])
        return self.struct("spin::mutex::Mutex<T>", [("inner", spin)])

    def arc_of(self, inner: TypeId) -> TypeId:
        """The type of an Arc of it: one, since each made is laid out anew."""
        if inner not in self._arcs:
            self._arcs[inner] = self._new_arc_of(inner)
        return self._arcs[inner]

    def _new_arc_of(self, inner: TypeId) -> TypeId:
        atomic = self.wrapped("core::sync::atomic::AtomicUsize", self.u64)
        fields = [("strong", atomic), ("weak", atomic), ("data", inner)]
        counts = self.struct("alloc::sync::ArcInner<T>", fields)
        pointer = self.wrapped("NonNull<ArcInner<T>>", self.pointer(counts))
        # Transparent: the niche of an Option is where the pointer is.
        members = (Member("ptr", pointer, 0),)
        return self.add(StructType("alloc::sync::Arc<T>", 8, members, (("T", inner),)))

    def counted(self, inner: TypeId) -> Value:
        """A new Arc, counted once, with memory for what it holds."""
        arc = self.new(self.arc_of(inner))
        counts = self.new(self.type_behind(arc))
        self.set(counts, "strong", "__0", 1)
        self.put(arc["ptr"]["__0"].address, counts.address)
        return arc

    def type_behind(self, arc: Value) -> TypeId:
        kind = self.type(arc["ptr"]["__0"].type_id)
        return getattr(kind, "target", 0)

    def behind(self, arc: Value) -> Value:
        """What an Arc made here holds."""
        return self.value(self.type_behind(arc), arc["ptr"]["__0"].scalar())["data"]

    def guarded(self, mutex: Value) -> Value:
        """What such a mutex guards."""
        return mutex["inner"]["data"]["value"]


class FakeImage:
    """What the decoders ask of an Image, for a World that is loaded where it is linked."""

    def __init__(self, world: World, sections: Sequence[object] = ()) -> None:
        self.types = world
        self.has_debug_info = True
        self.symbols = SimpleNamespace(at=lambda _: None, address_of=lambda _: None)
        self.sections = tuple(sections)
        self.segments = ()
        self.path, self.data = Path("os"), b""
        self._kept: dict[str, Any] = {}

    def kept(self, question: str, find: Callable[[], Any]) -> Any:
        return self._kept.setdefault(question, find())

    def physical(self, va: int) -> int | None:
        return va

    def locals_of(self, _function: str) -> tuple[()]:
        return ()


def kernel_of(world: World, root_ppn: int | None = None, overlay: Overlay = LAB) -> Kernel:
    """The kernel; with a root table it pages, and the statics are read where they were loaded.

    Unless `overlay` says more, it is a kernel of the labs.
    """
    satp = 0 if root_ppn is None else 8 << 60 | root_ppn
    registers = Registers(0, (0,) * 32, {"satp": satp}, 1)
    target = RamTarget(world.memory, BASE, lambda: registers)
    image = cast(Image, FakeImage(world))
    memory = VirtualMemory(target, satp, image.physical)
    return Kernel(image, target, registers, memory, overlay)
