"""A made-up kernel image and memory: types with shuffled fields, and containers encoded in them.

The encoders are written from the definitions in Rust's standard library, hashbrown and spin, not
from the decoders: what they write must come back.
"""

import random
import struct
from collections.abc import Iterator, Sequence

from rcdbg.errors import MemoryReadError
from rcdbg.image.types import (
    ArrayType,
    BaseType,
    EnumType,
    Member,
    OpaqueType,
    PointerType,
    Static,
    StructType,
    Type,
    TypeId,
    UnionType,
    Variant,
)
from rcdbg.model.values.value import Space, Value

BASE = 0x8000_0000
SIZE = 1 << 20


class Blank:
    """Types by id and one stretch of memory; `seed` decides the order of all fields."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.memory = bytearray(SIZE)
        self.next_free = BASE + 64
        self.table: dict[TypeId, Type] = {}
        self.vtables: dict[int, TypeId] = {}
        self.u8 = self.add(BaseType("u8", 1, "unsigned"))
        self.u64 = self.add(BaseType("usize", 8, "unsigned"))
        self.unit = self.add(StructType("()", 0, ()))

    # the TypeTable protocol

    def type(self, type_id: TypeId) -> Type:
        return self.table.get(type_id, OpaqueType("?"))

    def types_named(self, name: str) -> list[TypeId]:
        return [i for i, t in self.table.items() if t.name.split("<")[0].split("::")[-1] == name]

    def statics(self) -> Iterator[Static]:
        return iter(())

    def vtable_type(self, address: int) -> TypeId | None:
        return self.vtables.get(address)

    # types

    def add(self, kind: Type) -> TypeId:
        number = len(self.table) + 1
        self.table[number] = kind
        return number

    def size(self, type_id: TypeId) -> int:
        return self.type(type_id).size

    def struct(
        self,
        name: str,
        fields: Sequence[tuple[str, TypeId]],
        parameters: Sequence[tuple[str, TypeId]] = (),
    ) -> TypeId:
        """A struct whose fields lie in random order, with a random gap before some of them."""
        order = list(fields)
        self.random.shuffle(order)
        members, offset = [], 0
        for field, type_id in order:
            offset += self.random.choice([0, 0, 8]) if self.size(type_id) else 0
            members.append(Member(field, type_id, offset))
            offset += (self.size(type_id) + 7) & ~7
        return self.add(StructType(name, offset, tuple(members), tuple(parameters)))

    def pointer(self, target: TypeId) -> TypeId:
        return self.add(PointerType("*const", 8, target))

    def wrapped(self, name: str, inner: TypeId) -> TypeId:
        """A transparent newtype: no gaps, since niches lie at the offset of what it holds."""
        members = (Member("__0", inner, 0), Member("marker", self.unit, 0))
        return self.add(StructType(name, self.size(inner), members))

    def option(self, inner: TypeId) -> TypeId:
        """An Option with a tag of its own in front."""
        some = self.add(StructType("Some", 8 + self.size(inner), (Member("__0", inner, 8),)))
        none = self.add(StructType("None", 8 + self.size(inner), ()))
        return self.add(
            EnumType(
                "core::option::Option<T>",
                8 + self.size(inner),
                Member("tag", self.u64, 0),
                (
                    Variant("None", ((0, 0),), Member("None", none, 0)),
                    Variant("Some", ((1, 1),), Member("Some", some, 0)),
                ),
                (("T", inner),),
            )
        )

    def option_pointer(self, inner: TypeId) -> TypeId:
        """An Option that uses the null pointer as its niche."""
        some = self.add(StructType("Some", 8, (Member("__0", inner, 0),)))
        none = self.add(StructType("None", 8, ()))
        return self.add(
            EnumType(
                "core::option::Option<T>",
                8,
                Member("tag", self.u64, 0),
                (
                    Variant("None", ((0, 0),), Member("None", none, 0)),
                    Variant("Some", (), Member("Some", some, 0)),
                ),
                (("T", inner),),
            )
        )

    def raw_vec(self, element: TypeId) -> TypeId:
        pointer = self.wrapped("core::ptr::unique::Unique<u8>", self.pointer(self.u8))
        cap = self.wrapped("alloc::raw_vec::Cap", self.u64)
        inner = self.struct("alloc::raw_vec::RawVecInner", [("ptr", pointer), ("cap", cap)])
        return self.struct("alloc::raw_vec::RawVec", [("inner", inner)], [("T", element)])

    # memory

    def alloc(self, size: int) -> int:
        address = self.next_free
        self.next_free += (size + 15) & ~15
        assert self.next_free <= BASE + SIZE
        return address

    def write(self, address: int, data: bytes) -> None:
        assert BASE <= address <= BASE + SIZE - len(data)
        self.memory[address - BASE : address - BASE + len(data)] = data

    def put(self, address: int, value: int) -> None:
        self.write(address, struct.pack("<Q", value & (1 << 64) - 1))

    def read(self, address: int, size: int) -> bytes:
        if not BASE <= address <= BASE + SIZE - size:
            raise MemoryReadError(address, size, "not in RAM")
        return bytes(self.memory[address - BASE : address - BASE + size])

    def value(self, type_id: TypeId, address: int, path: str = "value") -> Value:
        return Value(Space(self, self.read), type_id, address, path)

    def new(self, type_id: TypeId) -> Value:
        return self.value(type_id, self.alloc(self.size(type_id)))

    def set(self, value: Value, *path_and_number: object) -> None:
        """Store a number in the field that the names lead to."""
        *names, number = path_and_number
        for name in names:
            value = value[str(name)]
        assert isinstance(number, int)
        self.put(value.address, number)


class World(Blank):
    """The same with containers of numbers."""

    def vec(self, numbers: Sequence[int]) -> Value:
        kind = self.struct(
            "alloc::vec::Vec<usize>",
            [("buf", self.raw_vec(self.u64)), ("len", self.u64)],
            [("T", self.u64)],
        )
        value = self.new(kind)
        buffer = self.alloc(8 * len(numbers) + 8)
        for position, number in enumerate(numbers):
            self.put(buffer + 8 * position, number)
        self.set(value, "buf", "inner", "ptr", "__0", buffer)
        self.set(value, "buf", "inner", "cap", "__0", len(numbers) + 1)
        self.set(value, "len", len(numbers))
        return value

    def vec_deque(self, numbers: Sequence[int], head: int, capacity: int) -> Value:
        kind = self.struct(
            "alloc::collections::vec_deque::VecDeque<usize>",
            [("head", self.u64), ("buf", self.raw_vec(self.u64)), ("len", self.u64)],
            [("T", self.u64)],
        )
        value = self.new(kind)
        buffer = self.alloc(8 * capacity + 8)
        for position, number in enumerate(numbers):
            self.put(buffer + 8 * ((head + position) % capacity), number)
        self.set(value, "buf", "inner", "ptr", "__0", buffer)
        self.set(value, "buf", "inner", "cap", "__0", capacity)
        self.set(value, "head", head)
        self.set(value, "len", len(numbers))
        return value

    def linked_list(self, numbers: Sequence[int]) -> tuple[Value, list[Value]]:
        """The list, and its nodes."""
        node_id = self.add(OpaqueType("placeholder"))
        link = self.option_pointer(
            self.wrapped("core::ptr::non_null::NonNull<Node>", self.pointer(node_id))
        )
        made = self.struct(
            "alloc::collections::linked_list::Node<usize>",
            [("next", link), ("prev", link), ("element", self.u64)],
        )
        self.table[node_id] = self.table[made]
        kind = self.struct(
            "alloc::collections::linked_list::LinkedList<usize>",
            [("head", link), ("tail", link), ("len", self.u64), ("marker", self.unit)],
            [("T", self.u64)],
        )
        value = self.new(kind)
        nodes = [self.new(node_id) for _ in numbers]
        addresses = [0, *(n.address for n in nodes), 0]
        for position, (node, number) in enumerate(zip(nodes, numbers, strict=True), 1):
            self.set(node, "element", number)
            self.set(node, "prev", addresses[position - 1])
            self.set(node, "next", addresses[position + 1])
        self.set(value, "head", addresses[1])
        self.set(value, "tail", addresses[-2])
        self.set(value, "len", len(numbers))
        return value, nodes

    def hash_set(self, numbers: Sequence[int], buckets: int) -> Value:
        """hashbrown: entries grow down from the control bytes; 0xff empty, 0x80 deleted."""
        entry = self.struct("(usize, ())", [("__0", self.u64), ("__1", self.unit)])
        size = self.size(entry)
        control_pointer = self.wrapped("NonNull<u8>", self.pointer(self.u8))
        inner = self.struct(
            "hashbrown::raw::RawTableInner",
            [("bucket_mask", self.u64), ("ctrl", control_pointer), ("items", self.u64)],
        )
        table = self.struct(
            "hashbrown::raw::RawTable<(usize, ())>", [("table", inner)], [("T", entry)]
        )
        map_ = self.struct("hashbrown::map::HashMap", [("table", table)], [("K", self.u64)])
        kind = self.struct("hashbrown::set::HashSet<usize>", [("map", map_)], [("T", self.u64)])
        value = self.new(kind)
        start = self.alloc(size * buckets + buckets + 16)
        control = start + size * buckets
        tags = bytearray(self.random.choice([0xFF, 0x80]) for _ in range(buckets + 16))
        for bucket, number in zip(
            self.random.sample(range(buckets), len(numbers)), numbers, strict=True
        ):
            tags[bucket] = self.random.randrange(0x80)
            slot = self.value(entry, control - (bucket + 1) * size)
            self.set(slot, "__0", number)
        self.write(control, bytes(tags))
        inner_value = value["map"]["table"]["table"]
        self.set(inner_value, "bucket_mask", buckets - 1)
        self.set(inner_value, "ctrl", "__0", control)
        self.set(inner_value, "items", len(numbers))
        return value

    def arc(self, number: int, strong: int = 1) -> Value:
        atomic = self.wrapped("core::sync::atomic::AtomicUsize", self.u64)
        inner = self.struct(
            "alloc::sync::ArcInner<usize>",
            [("strong", atomic), ("weak", atomic), ("data", self.u64)],
        )
        kind = self.struct(
            "alloc::sync::Arc<usize>",
            [("ptr", self.wrapped("NonNull", self.pointer(inner)))],
            [("T", self.u64)],
        )
        held = self.new(inner)
        self.set(held, "strong", "__0", strong)
        self.set(held, "data", number)
        value = self.new(kind)
        self.set(value, "ptr", "__0", held.address)
        return value

    def spin_mutex(self, number: int, locked: bool) -> Value:
        flag = self.wrapped("core::sync::atomic::AtomicBool", self.u8)
        cell = self.struct("core::cell::UnsafeCell<usize>", [("value", self.u64)])
        inner = self.struct("spin::mutex::spin::SpinMutex", [("lock", flag), ("data", cell)])
        value = self.new(self.struct("spin::mutex::Mutex<usize>", [("inner", inner)]))
        self.write(value["inner"]["lock"]["__0"].address, bytes([locked]))
        self.set(value, "inner", "data", "value", number)
        return value

    def lazy(self, number: int, status: int) -> Value:
        flag = self.wrapped("spin::once::AtomicStatus", self.u8)
        manual = self.struct("core::mem::manually_drop::ManuallyDrop", [("value", self.u64)])
        maybe = self.add(
            UnionType(
                "core::mem::maybe_uninit::MaybeUninit<usize>",
                self.size(manual),
                (Member("uninit", self.unit, 0), Member("value", manual, 0)),
            )
        )
        cell = self.struct("core::cell::UnsafeCell", [("value", maybe)])
        once = self.struct("spin::once::Once<usize>", [("status", flag), ("data", cell)])
        value = self.new(self.wrapped("lazy_static::lazy::Lazy<usize>", once))
        self.write(value["__0"]["status"]["__0"].address, bytes([status]))
        self.set(value, "__0", "data", "value", "value", "value", number)
        return value

    def array(self, numbers: Sequence[int]) -> Value:
        value = self.new(self.add(ArrayType("[usize]", 8 * len(numbers), self.u64, len(numbers))))
        for position, number in enumerate(numbers):
            self.put(value.address + 8 * position, number)
        return value
