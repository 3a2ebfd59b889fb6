"""Which family a kernel belongs to, by what its ELF shows; and the description that follows."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.elf import Image
from rcdbg.image.types import StructType, TypeId, TypeTable, UnionType
from rcdbg.kernels.description import UNKNOWN, Description, Names, Paths, Roots, TrapConcept
from rcdbg.kernels.paths import Field, Find
from rcdbg.kernels.reading import NOTHING, Overlay, description_of
from rcdbg.riscv.calls import behind_call, restored_ra

_FOLDER = Path(__file__).with_name("families")
_MAX_DEPTH = 12
_MAX_CALLER = 1 << 16


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a family's description fits an ELF."""

    family: str
    title: str
    found: tuple[str, ...]
    """What is there, in words: `symbol __interrupt`."""
    missing: tuple[str, ...]
    enough: int
    """How many of them have to be found."""

    @property
    def fits(self) -> bool:
        """Whether enough was found."""
        return len(self.found) >= self.enough


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a kernel is taken for, and why."""

    description: Description
    fits: tuple[Fit, ...]
    """All families that were tried, the best first."""
    why: str
    """In words: `5 of 7 signs`, `the profile says so`, ..."""


@lru_cache(maxsize=1)
def families() -> tuple[Description, ...]:
    """The descriptions that come with rcdbg, by name."""
    files = sorted(_FOLDER.glob("*.toml"))
    return tuple(description_of(file.read_bytes(), file.name) for file in files)


def family(name: str) -> Description:
    """The description of that family; raises UsageError if there is none."""
    known = {description.family: description for description in families()}
    if name not in known:
        raise UsageError(f"no family of kernels is called {name!r}; known are {', '.join(known)}")
    return known[name]


def describe(image: Image, overlay: Overlay = NOTHING) -> Description:
    """What the kernel's things are called: by its family, and by what the user says of it.

    Raises UsageError if the overlay names a family that there is not.
    """
    return recognise(image, overlay).description


def recognise(image: Image, overlay: Overlay = NOTHING) -> Recognition:
    """The family that fits best, with the user's entries in the place of its own.

    What those rename counts as found under the new name. Remembered for each image. Raises
    UsageError as `describe`.
    """
    known = _known.get((id(image), id(overlay)))
    if known is not None:
        return known[2]
    found = _recognise(image, overlay)
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    _known[id(image), id(overlay)] = image, overlay, found
    return found


_MAX_KNOWN = 64
_known: dict[tuple[int, int], tuple[Image, Overlay, Recognition]] = {}
"""By identity, since this is asked at every stop; both are held, so that their ids stay theirs."""


def _recognise(image: Image, overlay: Overlay) -> Recognition:
    if overlay.family:
        return Recognition(overlay.over(family(overlay.family)), (), "the profile says so")
    candidates = [overlay.over(description) for description in families()]
    ranked = sorted(
        ((_fit(image, candidate), candidate) for candidate in candidates),
        key=lambda item: (-item[0].fits, -len(item[0].found)),
    )
    fits = tuple(fit for fit, _ in ranked)
    best, description = ranked[0]
    if best.fits:
        of = len(best.found) + len(best.missing)
        return Recognition(description, fits, f"{len(best.found)} of {of} signs")
    if overlay.fallback:
        chosen = overlay.over(family(overlay.fallback))
        return Recognition(chosen, fits, "the profile has names of that family")
    return Recognition(overlay.over(UNKNOWN), fits, "no family's signs are there")


def _fit(image: Image, description: Description) -> Fit:
    found: list[str] = []
    missing: list[str] = []
    for sign in description.evidence.keys:
        concept, _, key = sign.partition(".")
        try:
            words, is_there = _sign(image, getattr(description, concept), key)
        except ImageError as error:  # damaged debug info: symbols may do
            words, is_there = f"{sign} ({error})", False
        (found if is_there else missing).append(words)
    enough = description.evidence.enough
    return Fit(description.family, description.title, tuple(found), tuple(missing), enough)


def _sign(image: Image, concept: object, key: str) -> tuple[str, bool]:
    """An entry of a description in words, and whether the ELF has it."""
    entry = getattr(concept, key)
    if isinstance(entry, Names) and key != "type":
        return f"symbol {entry.first}", first_symbol(image, entry) is not None
    if isinstance(entry, Roots):
        names = Names(path.static for path in entry)
        statics = {_static_name(static.path) for static in image.types.statics()}
        return f"static {names.first}", any(n.rsplit("::", 1)[-1] in statics for n in names)
    if isinstance(entry, Paths):
        owner: Names = getattr(concept, "type", Names())
        fields = [s.name for path in entry for s in path.steps[:1] if isinstance(s, Field | Find)]
        structs = list(_structs(image.types, owner))
        is_there = any(_has(image.types, s, field) for s in structs for field in fields)
        of = f" of {owner.first}" if owner else ""
        return f"field {entry.first}{of}", is_there
    assert isinstance(entry, Names)
    return f"type {entry.first}", any(_structs(image.types, entry))


def _static_name(path: str) -> str:
    """What a programmer calls a static: a lazy_static's data goes by the name of its handle."""
    handle = path[1:].split(" as ", 1)[0] if path.startswith("<") else path
    return handle.rsplit("::", 1)[-1]


def _structs(types: TypeTable, names: Names) -> Iterator[TypeId]:
    for name in names:
        for type_id in types.types_named(name):
            if isinstance(types.type(type_id), StructType | UnionType):
                yield type_id


def _has(types: TypeTable, root: TypeId, name: str) -> bool:
    """Whether a struct has that field, in itself or inside."""
    queue, seen = deque([(root, 0)]), {root}
    while queue:
        type_id, depth = queue.popleft()
        kind = types.type(type_id)
        if depth == _MAX_DEPTH or not isinstance(kind, StructType | UnionType):
            continue
        if kind.member(name) is not None:
            return True
        for member in kind.members:
            if member.type not in seen:
                seen.add(member.type)
                queue.append((member.type, depth + 1))
    return False


def first_symbol(image: Image, names: Names) -> tuple[str, int] | None:
    """Name and address of the first of these symbols that the kernel has, or None."""
    for name in names:
        try:
            address = image.symbols.address_of(name)
        except UsageError:
            continue  # several have that name
        if address is not None:
            return name, address
    return None


def demand_handler(image: Image, trap: TrapConcept) -> tuple[str, int]:
    """Where a trap is handled: a symbol, or an address as text, and the address.

    The handler, or where the call that runs user code returns. Raises UsageError without either.
    """
    place = None if first_symbol(image, trap.handler) else _resumed(image, trap)
    if place is not None:
        return f"{place:#x}", place
    return demand_symbol(image, trap.handler or trap.resumes, "the trap handler")


def handler_address(image: Image, trap: TrapConcept) -> int | None:
    """The same address, or None."""
    found = first_symbol(image, trap.handler)
    return _resumed(image, trap) if found is None else found[1]


def _resumed(image: Image, trap: TrapConcept) -> int | None:
    for caller, called in zip(trap.resumes[::2], trap.resumes[1::2], strict=False):
        there, target = (first_symbol(image, Names((name,))) for name in (caller, called))
        place = None if there is None or target is None else _behind(image, there[1], target[1])
        if place is not None:
            return place
    return None


def _behind(image: Image, start: int, called: int) -> int | None:
    """Where the first call of that function returns in the one that begins there."""
    symbol = image.symbols.covering(start)
    size = symbol.size if symbol is not None and symbol.size else _MAX_CALLER
    code = image.read(start, min(size, _MAX_CALLER))
    behind = None if code is None else behind_call(code, start, called)
    if behind is None or code is None:
        return None
    # Assembly that has made room on the stack for ra takes it back: till then no unwinder knows.
    return behind + len(restored_ra(code[behind - start :]))


def demand_symbol(image: Image, names: Names, what: str) -> tuple[str, int]:
    """The same; raises UsageError in one line if there is none. `what` it is, in words."""
    found = first_symbol(image, names)
    if found is not None:
        return found
    if not names:
        raise UsageError(
            f"rcdbg does not know what {what} is called in {image.path.name}:"
            " name it in a file for --profile"
        )
    near = image.symbols.suggest(names.first)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UsageError(f"{image.path.name} has no symbol {names.first!r}, {what}{hint}")
