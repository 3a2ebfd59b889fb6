"""Every value of one type that the kernel's statics lead to, found by their types alone.

The walk goes through fields, live enum variants, pointers and Rust's containers, but only where
the types say that a value of the wanted type can come of it: most of the kernel is never read.
What is only borrowed (a Weak, a union whose live member nobody knows, a trait object) is not
followed.
"""

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.guest.virtual import MAX_READ
from rcdbg.image.types import (
    ArrayType,
    EnumType,
    PointerType,
    StructType,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.kernels.description import NO_NAMES, Names
from rcdbg.model.by_types import by_types
from rcdbg.model.kernel import Kernel
from rcdbg.model.library.wakers import WAKER, woken
from rcdbg.model.state import Problem
from rcdbg.model.values.containers import (
    arc,
    base_name,
    dig,
    elements,
    is_container,
    lazy,
    pointer_in,
)
from rcdbg.model.values.contents import Span, contents, is_slice, slice_span
from rcdbg.model.values.parts import has_struct_inside, struct_inside
from rcdbg.model.values.value import MAX_DEPTH, MAX_ELEMENTS, DecodeError, Value
from rcdbg.model.values.wrappers import layer

MAX_VISITS = 100_000
"""Values that one walk looks at."""

MAX_FOUND = 1 << 20
"""Values of the wanted type that one walk gives: frames of 4 GiB, each with an owner."""

MAX_PROBLEMS = 16

_LAZY = ("Lazy", "LazyInit", "LazyLock", "Once", "OnceCell", "OnceLock")
_ORDERED = ("BTreeMap", "BTreeSet", "BinaryHeap")
_NOT_OWNED = ("Weak", "PhantomData")
_WORD = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A value of the wanted type: a number, and how one gets there."""

    number: int
    address: int
    """Virtual address of the value itself."""
    path: str
    index: int | None
    """Its position, where it is an element of the Vec or VecDeque at `path`."""
    owner: int | None
    """Address of the innermost struct of the types `within` on the way."""

    @property
    def full_path(self) -> str:
        """The path with the position."""
        return self.path if self.index is None else f"{self.path}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Reached:
    """What a walk found."""

    found: tuple[Found, ...]
    owners: tuple[tuple[Value, str], ...]
    """The structs of the types `within`, each with the way to it."""
    problems: tuple[Problem, ...]
    complete: bool
    """Whether nothing was unreadable or left out."""
    wakers: tuple[tuple[int, Value, int | None], ...] = ()
    """Addresses of structs of the types `within`, each with a waker that wakes it, and the address
    of the one of them that this is in."""


def _leading(types: TypeTable, names: Names, *, inside: bool = False) -> frozenset[TypeId]:
    """The types that are, hold, or point to the structs called so; `inside` those too."""
    above: dict[TypeId, set[TypeId]] = {}
    queue = deque(static.type for static in types.statics())
    seen = set(queue)
    wanted: deque[TypeId] = deque()
    while queue:
        type_id = queue.popleft()
        kind = types.type(type_id)
        if isinstance(kind, StructType) and base_name(kind) in names:
            wanted.append(type_id)
            if not inside:
                continue
        for inner in _parts(types, type_id):
            above.setdefault(inner, set()).add(type_id)
            if inner not in seen:
                seen.add(inner)
                queue.append(inner)
    leading = set(wanted)
    while wanted:
        for outer in above.get(wanted.popleft(), ()):
            if outer not in leading:
                leading.add(outer)
                wanted.append(outer)
    return frozenset(leading)


def _parts(types: TypeTable, type_id: TypeId) -> Iterator[TypeId]:
    """The types that a value of a type leads to in one step."""
    kind = types.type(type_id)
    if isinstance(kind, StructType) and base_name(kind) in _NOT_OWNED:
        return
    if isinstance(kind, StructType | UnionType):
        yield from (m.type for m in kind.members)
        yield from (parameter for _, parameter in kind.parameters)
    elif isinstance(kind, EnumType):
        yield from (v.body.type for v in kind.variants)
    elif isinstance(kind, PointerType):
        yield kind.target
    elif isinstance(kind, ArrayType):
        yield kind.element


def reach(
    kernel: Kernel, names: Names, within: Names = NO_NAMES, limit: int = MAX_FOUND
) -> Reached:
    """All values of the structs called so, with the innermost struct of `within` around each.

    A value has to be a single number. Bounded by MAX_VISITS and `limit`, which says how many such
    values a kernel can have in reason; never fails.
    """
    walk = _Walk(kernel, names, within, min(limit, MAX_FOUND))
    for static in kernel.image.types.statics():
        if static.type in walk.leading and kernel.image.types.type(static.type).size:
            walk.start(Value(kernel.space, static.type, static.address, _static_name(static.path)))
    walk.run()
    if walk.left_out and len(walk.problems) < MAX_PROBLEMS:
        why = f"more than {walk.limit:,} of them, or {MAX_VISITS:,} steps: the rest is left out"
        walk.problems.append(Problem(f"the search for {names.first}", why))
    complete = not walk.problems and not walk.left_out
    return Reached(
        tuple(walk.found.values()), tuple(walk.owners.values()), tuple(walk.problems), complete
    )


def reach_structs(kernel: Kernel, names: Names, *start: Value) -> Reached:
    """The structs called so that statics lead to, or one of `start`, as `owners`; never fails.

    What a waker wakes is followed too, to what that is about: a Weak there counts.
    """
    walk = _Walk(kernel, Names(), names, MAX_FOUND)
    wanted = Names((*names, WAKER))
    types = kernel.image.types
    walk.leading = by_types(types, ("inside", wanted), lambda: _leading(types, wanted, inside=True))
    # What a waker leads to is of a type that another crate may have described.
    walk.names = frozenset(types.type(type_id).name for type_id in walk.leading)
    for static in types.statics():
        if static.type in walk.leading and types.type(static.type).size:
            walk.start(Value(kernel.space, static.type, static.address, _static_name(static.path)))
    for value in start:
        walk.start(value)
    walk.run()
    complete = not walk.problems and not walk.left_out
    wakers = tuple((address, *waker) for address, waker in walk.wakers.items())
    return Reached((), tuple(walk.owners.values()), tuple(walk.problems), complete, wakers)


def _static_name(path: str) -> str:
    """What a programmer calls a static: a lazy_static's data goes by the name of its handle."""
    if path.startswith("<") and " as " in path:
        path = path[1:].split(" as ", 1)[0]
    return path.rsplit("::", 1)[-1]


class _Walk:
    """The search, breadth first: what was seen, what was found, and what went wrong."""

    def __init__(self, kernel: Kernel, names: Names, within: Names, limit: int) -> None:
        types = kernel.image.types
        self.leading = by_types(types, ("leading", names), lambda: _leading(types, names))
        self.names: frozenset[str] = frozenset()
        """Types with these names lead there too."""
        self.wakers: dict[int, tuple[Value, int | None]] = {}
        self.limit = limit
        self.found: dict[int, Found] = {}
        self.owners: dict[int, tuple[Value, str]] = {}
        self.problems: list[Problem] = []
        self.left_out = False
        self._symbols = kernel.image.symbols
        self._types = types
        self._names = names
        self._within = within
        self._seen: set[tuple[int, str, bool]] = set()
        self._queue: deque[tuple[Value, int | None]] = deque()

    def start(self, value: Value) -> None:
        """Search also from there."""
        self._push(value, None)

    def _push(self, value: Value, owner: int | None) -> None:
        # One type may have an id in each crate; a [T] that is a field goes by its element's type.
        several = value.metadata is not None and value.metadata.is_elements
        key = (value.address, value.type.name, several)
        if key in self._seen or not self._leads(value):
            return
        if len(self._seen) >= MAX_VISITS:
            self.left_out = True
            return
        self._seen.add(key)
        self._queue.append((value, owner))

    def _leads(self, value: Value) -> bool:
        return value.type_id in self.leading or value.type.name in self.names

    def run(self) -> None:
        """Search to the end."""
        while self._queue:
            value, owner = self._queue.popleft()
            try:
                self._visit(value, owner)
            except DecodeError as error:
                self._problem(error.problem)

    def _problem(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def _note(self, found: Found) -> None:
        if len(self.found) >= self.limit:
            self.left_out = True
        else:
            self.found.setdefault(found.address, found)

    def _visit(self, value: Value, owner: int | None) -> None:
        kind, name = value.type, base_name(value.type)
        if value.metadata is not None and value.metadata.is_elements:
            span = Span(value.type_id, value.address, value.metadata.length)
            self._side_by_side(value, span, owner)
        elif isinstance(kind, PointerType):
            if address := value.scalar():
                self._push(value.at(kind.target, address, value.path), owner)
        elif isinstance(kind, EnumType):
            self._push(_named(value.variant()[1], value.path), owner)
        elif isinstance(kind, StructType) and name in self._names:
            self._note(Found(value.scalar(), value.address, value.path, None, owner))
        elif isinstance(kind, StructType) and name == WAKER and not self._names:
            self._woken(value, owner)
        elif isinstance(kind, StructType) and name in ("Arc", "Rc"):
            self._push(_named(arc(value), value.path), owner)
        elif isinstance(kind, StructType) and name in _LAZY:
            if (held := lazy(value)) is not None:
                self._push(_named(held, value.path), owner)
        elif is_container(value):
            self._elements(value, owner)
        elif isinstance(kind, StructType) and name in _ORDERED:
            self._ordered(value, owner)
        elif is_slice(value):
            self._side_by_side(value, slice_span(value), owner)
        elif value.has("data_ptr") and (peeled := layer(value)) is not None:
            if peeled.content is not None:
                self._push(peeled.content, owner)
        elif isinstance(kind, StructType):
            if name in self._within:
                owner = value.address
                self.owners.setdefault(owner, (value, value.path))
            shell = kind.name.startswith(("core::", "alloc::", "spin::"))
            for field in value.fields():
                path = value.path if shell or field.path.endswith(".__0") else field.path
                self._push(_named(field, path), owner)

    def _woken(self, waker: Value, owner: int | None) -> None:
        """What a waker wakes: it is not owned, but it is what waits."""
        held = woken(waker, self._symbols)
        for field in held.fields() if held is not None else ():
            peeled = layer(field) if base_name(field.type) in _NOT_OWNED else None
            content = field if peeled is None else peeled.content
            if content is None:
                continue
            self._push(_named(content, waker.path), None)
            if has_struct_inside(self._types, content.type_id, self._within):
                found = struct_inside(content, self._within).value
                if found is not None:
                    self.wakers.setdefault(found.address, (waker, owner))

    def _ordered(self, value: Value, owner: int | None) -> None:
        """The keys and values of a B-tree, or what is in a heap of priorities."""
        held = contents(value)
        for key, item in held.walk() if held is not None else ():
            for part in (key, item):
                if part is not None:
                    self._push(part, owner)

    def _side_by_side(self, value: Value, span: Span, owner: int | None) -> None:
        if span.length > MAX_ELEMENTS:
            raise DecodeError(value.path, f"a length of {span.length:#x} is nonsense")
        size = self._types.type(span.element).size
        for number in range(span.length):
            place = span.address + number * size
            self._push(value.at(span.element, place, f"{value.path}[{number}]"), owner)

    def _elements(self, value: Value, owner: int | None) -> None:
        name = base_name(value.type)
        if name in ("Vec", "VecDeque"):
            offsets = self._flat(value.parameter("T"), 0)
            if offsets is not None:
                self._bulk(value, offsets, owner)
                return
        for element in elements(value):
            self._push(element, owner)

    def _flat(self, type_id: TypeId, depth: int) -> list[int] | None:
        """Where in a value of that type the wanted ones lie; None if that is not fixed."""
        kind = self._types.type(type_id)
        if not isinstance(kind, StructType) or depth > MAX_DEPTH:
            return None
        if base_name(kind) in self._names:
            return [0] if kind.size == _WORD else None
        if base_name(kind) in ("Arc", "Rc", "Vec", "VecDeque", "LinkedList", "HashSet", "HashMap"):
            return None
        offsets: list[int] = []
        for member in kind.members:
            if member.type in self.leading:
                inner = self._flat(member.type, depth + 1)
                if inner is None:
                    return None
                offsets += [member.offset + offset for offset in inner]
        return offsets or None

    def _bulk(self, value: Value, offsets: list[int], owner: int | None) -> None:
        """The numbers in a Vec or VecDeque of plain structs, its buffer read at once."""
        size = self._types.type(value.parameter("T")).size
        length = value["len"].scalar()
        buffer = value["buf"]
        capacity = dig(buffer, "cap").scalar()
        head = value["head"].scalar() if value.has("head") else 0
        if not 0 <= length <= capacity or (length and not 0 <= head < capacity):
            why = f"head {head}, length {length:#x}, capacity {capacity:#x}"
            raise DecodeError(value.path, why)
        if not length:
            return
        if size < _WORD or length * size > MAX_READ or length > self.limit:
            why = f"a length of {length:#x} is nonsense: there are not so many {self._names.first}s"
            raise DecodeError(value.path, why)
        first = pointer_in(buffer).scalar()
        straight = min(length, capacity - head)
        pieces = ((head, 0, straight), (0, straight, length - straight))
        for position, index, count in pieces:
            if count:
                place = first + position * size
                self._numbers(value, place, index, count, size, offsets, owner)

    def _numbers(
        self,
        value: Value,
        place: int,
        index: int,
        count: int,
        size: int,
        offsets: list[int],
        owner: int | None,
    ) -> None:
        data = value.read(place, count * size)
        for offset in offsets:
            layout = struct.Struct(f"<{offset}xQ{size - offset - _WORD}x")
            for number, (content,) in enumerate(layout.iter_unpack(data)):
                at = place + number * size + offset
                self._note(Found(content, at, value.path, index + number, owner))


def _named(value: Value, path: str) -> Value:
    """The same value under another path."""
    return value.named(path)
