"""Where the paths of a concept start: types of an ELF, found as the decoders find the values."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.elf import Image
from rcdbg.image.tables import DebugTypes
from rcdbg.image.types import (
    CEnumType,
    EnumType,
    OpaqueType,
    Static,
    StructType,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.kernels.description import NO_NAMES, Description, Names, Paths, Roots
from rcdbg.kernels.entries import NO_ROOTS
from rcdbg.kernels.paths import Each, Path
from rcdbg.model.kernel import holder_of
from rcdbg.model.values.hops import Station, pointed
from rcdbg.model.values.statics import static_named
from rcdbg.model.values.ways import Way, way, way_to_struct

NO_DEBUG_INFO = "the ELF has no debug info: build the kernel with `debug = true`"
HELD = frozenset({"kernel_stack", "processor", "frames", "heap"})
"""Concepts that are what a static holds."""

_MAX_ORIGINS = 16


@dataclass(frozen=True)
class Elf:
    """An image with what its description asks of it; without debug info only symbols count."""

    image: Image
    description: Description
    damage: str
    """Why there are no types, statics and functions, in words; "" if there are."""

    @cached_property
    def types(self) -> DebugTypes:
        """Its types; raises ImageError, in words, if they are missing or damaged."""
        if self.damage:
            raise ImageError(self.damage)
        return self.image.types

    def of(self, description: Description) -> "Elf":
        """The same image with another description."""
        return Elf(self.image, description, self.damage)

    def static(self, name: str) -> Static:
        """The static of that name; raises UsageError, with near names, or ImageError."""
        if self.damage:
            raise ImageError(self.damage)
        return static_named(self.image, name)

    def held(self, names: Names) -> tuple[Static, TypeId] | None:
        """The static that holds such a struct, and the struct's type."""
        found = holder_of(self.types, names) if names else None
        inner = None if found is None else way_to_struct(self.types, found.type, names)
        return None if found is None or inner is None else (found, inner.type)

    def rooted(self, roots: Roots) -> Iterator[tuple[int, Static, Way]]:
        """The roots that the kernel has: position, static, and the way from it."""
        for position, (name, paths) in enumerate(roots.each):
            static = self._static_or_local(name)
            if static is None:
                continue
            found = way(self.types, static.type, paths, NO_NAMES)
            if found is not None:
                yield position, static, found

    def _static_or_local(self, name: str) -> Static | None:
        """The static, or the first local variable `FUNCTION::VARIABLE`, which has no address."""
        try:
            return self.static(name)
        except UsageError:
            function, _, variable = name.rpartition("::")
        for found in self.image.locals_of(function.rsplit("::", 1)[-1]) if function else ():
            if found.name == variable:
                return Static(name, "", 0, found.type)
        return None

    def origins(self, concept: str, key: str = "") -> tuple[TypeId, ...]:
        """The types from which the paths of that concept start, the likeliest first."""
        special = _SPECIAL.get(f"{concept}.{key}") or _SPECIAL.get(concept)
        found = self.plain(concept) if special is None else special(self)
        return tuple(dict.fromkeys(found))[:_MAX_ORIGINS]

    def plain(self, concept: str) -> Iterator[TypeId]:
        """What the roots lead to, what a static holds, or the types of that name."""
        table = getattr(self.description, concept)
        names: Names = getattr(table, "type", NO_NAMES)
        if concept in HELD:
            at: Roots = getattr(table, "at", NO_ROOTS)
            yield from (found.type for _, _, found in self.rooted(at))
            held = self.held(names)
            if held is not None:
                yield held[1]
        yield from named_types(self.types, names)

    def ends(self, concept: str, paths: Paths) -> Iterator[TypeId]:
        """The types of what these paths lead to, from that concept on."""
        for origin in self.origins(concept):
            found = way(self.types, origin, paths, NO_NAMES)
            if found is not None:
                yield found.type


def elf_of(image: Image, description: Description) -> Elf:
    """The image with that description; whether it is damaged is found out once."""
    damage = "" if image.has_debug_info else NO_DEBUG_INFO
    if not damage:
        try:
            _ = image.types, image.functions
        except ImageError as error:
            damage = str(error)
    return Elf(image, description, damage)


def named_types(types: TypeTable, names: Iterable[str]) -> Iterator[TypeId]:
    """The types with a layout that have one of these names."""
    for name in names:
        for type_id in types.types_named(name):
            if not isinstance(types.type(type_id), OpaqueType):
                yield type_id


def elements(paths: Paths) -> Paths:
    """The way to each element of what these paths lead to."""
    return Paths(
        path if path.steps and isinstance(path.steps[-1], Each) else Path("", (*path.steps, Each()))
        for path in paths
    )


def _spaces(elf: Elf) -> Iterator[TypeId]:
    yield from elf.plain("address_space")
    yield from (found.type for _, _, found in elf.rooted(elf.description.address_space.list))
    yield from elf.ends("process", elf.description.process.space)


def _areas(elf: Elf) -> Iterator[TypeId]:
    yield from elf.ends("address_space", elements(elf.description.address_space.areas))


def _entries(elf: Elf) -> Iterator[TypeId]:
    """An entry of a queue may be anything, or a thread."""
    for position, static, _ in elf.rooted(elf.description.queue.at):
        paths = elf.description.queue.at.each[position][1]
        found = way(elf.types, static.type, elements(paths), NO_NAMES)
        if found is not None:
            yield found.type
    for collection in elf.ends("processor", elf.description.processor.ready):
        yield from _inner_elements(elf.types, collection)
    yield from elf.origins("thread")


def _inner_elements(types: TypeTable, holder: TypeId) -> Iterator[TypeId]:
    """The elements of a collection, or of those that a scheduler has as its fields."""
    kind = types.type(holder)
    fields = [m.type for m in kind.members] if isinstance(kind, StructType | UnionType) else []
    for type_id in (holder, *fields):
        found = way(types, type_id, Paths((Path("", (Each(),)),)), NO_NAMES)
        if found is not None:
            yield found.type


def _free_frames(elf: Elf) -> Iterator[TypeId]:
    """What a chain of free frames leads to."""
    for type_id in elf.ends("frames", elf.description.frames.chain):
        behind = pointed(elf.types, Station((), type_id), any_pointer=True)
        yield type_id if behind is None else behind.type


def _relations(elf: Elf) -> Iterator[TypeId]:
    """A process, or what a table of relations has of one."""
    roots = elf.description.process.relations
    for position, static, _ in elf.rooted(roots):
        found = way(elf.types, static.type, elements(roots.each[position][1]), NO_NAMES)
        if found is not None:
            yield found.type
    yield from elf.plain("process")


def _waited_for(elf: Elf) -> Iterator[TypeId]:
    """What has a queue of those that wait for it; of a `dyn` only memory tells the type."""
    waiting = elf.description.waiting
    yield from elf.plain("waiting")
    for paths in waiting.objects.each:
        yield from elf.ends("process", paths)
    yield from (found.type for _, _, found in elf.rooted(waiting.at))


def _timers(elf: Elf) -> Iterator[TypeId]:
    yield from (found.type for _, _, found in elf.rooted(elf.description.waiting.timers))


_SPECIAL = {
    "waiting.objects": lambda elf: elf.plain("process"),
    "waiting.queue": _waited_for,
    "waiting.sleeper": _timers,
    "waiting.until": _timers,
    "process.parent": _relations,
    "process.children": _relations,
    "process.dead": _relations,
    "address_space": _spaces,
    "area": _areas,
    "queue": _entries,
    "frames.link": _free_frames,
}


def variants(types: TypeTable, type_id: TypeId) -> tuple[str, ...]:
    """The variants of an enum."""
    kind = types.type(type_id)
    if isinstance(kind, CEnumType):
        return tuple(name for name, _ in kind.enumerators)
    return tuple(v.name for v in kind.variants) if isinstance(kind, EnumType) else ()
