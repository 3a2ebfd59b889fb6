"""Where the kernel has to be looked at for which events: from symbols, DWARF and the code itself.

No line number, and no name that is not in the kernel's description. What the compiler left nothing
of is said in `Plan.unseen`, in words, and the rest is recorded.
"""

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image
from rcdbg.image.resolve import resolve
from rcdbg.image.symbols import simplified
from rcdbg.image.tables import Function
from rcdbg.kernels.description import Description, Names
from rcdbg.kernels.functions import functions_named
from rcdbg.kernels.reading import Overlay
from rcdbg.kernels.recognise import describe, first_symbol
from rcdbg.kernels.trampoline import running_at
from rcdbg.riscv import code
from rcdbg.trace.kinds import KINDS, Sight
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.arguments import in_registers
from rcdbg.trace.observers.restored import Term, restored, vector_inside
from rcdbg.trace.observers.scan import body, scan

MAX_HITS = 256
"""Functions that patterns may name: each is a breakpoint."""

_ENTRY_CSRS = ("scause", "sepc", "stval", "sstatus")
_LEAVE_CSRS = ("sepc", "sstatus")
_SP, _A0 = 2, 10


@dataclass(frozen=True, slots=True)
class Probe:
    """One place: `address` is where to watch, `what` may have happened when the hart comes there.

    `symbol` is the virtual address that names the place: another one for code that runs at its
    physical address before paging is on. `csrs` are the CSRs that have to be known. `sp` and `a0`
    tell, of the way out of a trap, what these registers will be at its end; None if that cannot be
    told.
    """

    address: int
    what: str
    symbol: int
    function: Function | None = None
    csrs: tuple[str, ...] = ()
    sp: Term | None = None
    a0: Term | None = None


Handler = Callable[[Moment, Probe], None]
"""What an observer does when the hart comes to a place."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be recorded, and where: made once for a recording.

    `kinds` has `hit` if there are `hits`. `probes` are all places, in the order in which those at
    one address are to be looked at. `unseen` are the kinds that were asked for and cannot be seen,
    or not all of them: why.
    """

    kinds: tuple[str, ...]
    hits: tuple[str, ...]
    probes: tuple[Probe, ...]
    unseen: Mapping[str, str]


def plan(image: Image, overlay: Overlay, kinds: Sequence[str], hits: Sequence[str] = ()) -> Plan:
    """Where to look for events of these kinds, and for entries of the functions `hits`.

    Raises UsageError for a function that does not exist.
    """
    every = (*kinds, *(("hit",) if hits and "hit" not in kinds else ()))
    return _Planner(image, describe(image, overlay), every).plan(tuple(hits))


def needed(kind: str) -> tuple[str, ...]:
    """What is looked at for events of a kind: of some of it, or all, they are made."""
    return tuple(sight.what for sight in KINDS[kind].seen_at)


class _Planner:
    def __init__(self, image: Image, description: Description, kinds: tuple[str, ...]) -> None:
        self._image = image
        self._description = description
        self._kinds = kinds
        every = {sight: None for kind in KINDS.values() for sight in kind.seen_at}
        asked_for = {sight for kind in kinds for sight in KINDS[kind].seen_at}
        self._sights = [sight for sight in every if sight.always or sight in asked_for]
        self._wanted = {sight.what for sight in self._sights}
        self._probes: list[Probe] = []
        self._unseen: dict[str, str] = {}

    def plan(self, hits: tuple[str, ...]) -> Plan:
        # Behind a write of satp there may be the way out of a trap: then the table comes first.
        self._satp()
        self._traps()
        for sight in self._sights:
            if sight.found_by != "code":
                self._entry(sight)
        if "alloc_entry" in self._wanted:
            self._allocations()
        if "ecall" in self._wanted:
            self._ecalls()
        for name in hits:
            for address in hit_addresses(self._image, name):
                self._add(address, "hit")
        return Plan(self._kinds, hits, tuple(self._probes), self._unseen)

    def _add(
        self, address: int, what: str, function: Function | None = None, **more: object
    ) -> None:
        """Adds a place, and the same one by its physical address if the boot code may get there."""
        if function is None and what == "hit":
            function = self._function_at(address)
        places = [address]
        physical = self._image.physical(address)
        early = what == "satp" or self._is_boot_code(address)
        if physical is not None and physical != address and early:
            places.append(physical)
        if what in ("trap_enter", "trap_leave", "satp"):
            elsewhere = running_at(self._image, self._description.trap, address)
            places = places if elsewhere is None else [elsewhere]
        for place in places:
            self._probes.append(Probe(place, what, address, function, **more))  # type: ignore[arg-type]

    def _is_boot_code(self, address: int) -> bool:
        entry = self._image.symbols.covering(self._image.entry)
        if entry is None:
            return address == self._image.entry
        return entry.address <= address < entry.address + max(entry.size, 1)

    def _function_at(self, address: int) -> Function | None:
        found = self._image.functions.at(address)
        return found if found is not None and found.address == address else None

    def _satp(self) -> None:
        for address in scan(self._image).satp_written:
            self._add(address, "satp", csrs=("satp",))
        if not scan(self._image).satp_written:
            self._miss(("satp",), "no instruction writes satp")

    def _traps(self) -> None:
        trap = self._description.trap
        entry = self._symbol(trap.entry)
        if entry is None:
            self._miss(("trap_enter",), _no_symbol(trap.entry))
        else:
            inside = vector_inside(body(self._image, entry), entry)
            self._add(entry if inside is None else inside, "trap_enter", csrs=_ENTRY_CSRS)
        leave = self._symbol(trap.exit)
        places = [] if leave is None else _ways_out(self._image, leave)
        for address, sp, a0 in places:
            csrs = (
                *_LEAVE_CSRS,
                *(() if sp is None else sp.csrs),
                *(() if a0 is None else a0.csrs),
            )
            self._add(address, "trap_leave", csrs=tuple(dict.fromkeys(csrs)), sp=sp, a0=a0)
        if not places:
            self._miss(("trap_leave", "switch"), f"{_no_symbol(trap.exit)} with an sret in it")

    def _entry(self, sight: Sight) -> None:
        """Watches the entries of the first of a sight's functions that there is."""
        if sight.instead_of in {probe.what for probe in self._probes}:
            return
        names = self._names(sight.call)
        kinds = () if sight.only_helps else _made_at(sight)
        if sight.found_by == "symbol":
            address = self._symbol(names)
            if address is None:
                self._miss(kinds, _no_symbol(names))
            else:
                self._add(address, sight.what)
            return
        for function in self._first(names, kinds):
            self._add(function.address, sight.what, function)

    def _names(self, call: str) -> Names:
        """What the kernel may call that function."""
        found: Names = getattr(self._description.calls, call)
        return found

    def _first(self, names: Names, kinds: Iterable[str]) -> list[Function]:
        for name in names:
            found = functions_named(self._image, name)
            if not found:
                continue
            copies = sum(self._image.functions.inlined(path) for path in {f.path for f in found})
            if copies:
                self._miss(kinds, f"{copies} calls of {name} are inlined; the others are seen")
            if any(function.is_altered for function in found):
                self._miss(kinds, f"the compiler has changed how {name} is called")
            return found
        called = f" {names.first}: inlined, or named otherwise" if names else " is known for it"
        self._miss(kinds, f"no function{called}")
        return []

    def _allocations(self) -> None:
        names, types = self._names("frame_alloc"), self._image.types
        simple = [
            name
            for name in names
            if (found := functions_named(self._image, name))
            and all(in_registers(function, types) for function in found)
        ]
        for function in self._first(Names((*simple, *names)), ("frame_alloc",)):
            to_it = [j for j in scan(self._image).jumps if j.target == function.address]
            for jump in to_it:
                if jump.links:
                    self._add(jump.returns_to, "alloc_return", function)
            self._add(function.address, "alloc_entry", function)
            if not all(jump.links for jump in to_it):
                self._miss(("frame_alloc",), "some calls return elsewhere: they end a function")

    def _ecalls(self) -> None:
        found = scan(self._image).ecalls
        for address in found:
            self._add(address, "ecall")
        if not found:
            made = [name for name in KINDS if "ecall" in needed(name)]
            self._miss(made, "the kernel has no ecall instruction")

    def _symbol(self, names: Names) -> int | None:
        found = first_symbol(self._image, names)
        return found[1] if found else None

    def _miss(self, kinds: Iterable[str], why: str) -> None:
        for kind in kinds:
            if kind in self._kinds:
                before = self._unseen.get(kind)
                self._unseen[kind] = f"{before}; {why}" if before else why


def _made_at(sight: Sight) -> list[str]:
    """The kinds of events that are seen there."""
    return [kind.name for kind in KINDS.values() if sight in kind.seen_at]


def _no_symbol(names: Names) -> str:
    return f"no symbol {names.first}" if names else "no symbol is known for it"


def hit_addresses(image: Image, name: str) -> list[int]:
    """The entries of the functions that a user means: a symbol as for `until`, or a pattern.

    All instances of a generic function are meant by its name. Raises UsageError for none.
    """
    symbols = [s for s in image.symbols if s.kind == "code"]
    if any(letter in name for letter in "*?["):
        short = {s.address: simplified(s.path) for s in symbols}
        found = [a for a, path in short.items() if fnmatch.fnmatchcase(path, name)]
        found = found or [a for a, path in short.items() if fnmatch.fnmatchcase(path, f"*::{name}")]
        if not found:
            raise UsageError(f"{image.path.name} has no function like {name!r}")
        if len(found) > MAX_HITS:
            raise UsageError(f"{name!r} means {len(found)} functions: {MAX_HITS} are the most")
        return sorted(found)
    wanted = simplified(name).split("::")
    same = {s.address: simplified(s.path) for s in symbols
            if simplified(s.path).split("::")[-len(wanted):] == wanted}  # fmt: skip
    if len(set(same.values())) == 1:
        return sorted(same)
    return [resolve(image, name)]


def _ways_out(image: Image, address: int) -> list[tuple[int, Term | None, Term | None]]:
    """Of each sret in the function: the place behind the last write of a CSR before it.

    A place with what sp and a0 will be at the sret, None if that cannot be told.
    There the CSRs are those to be resumed with, and QEMU starts a new translation block there.
    """
    found = []
    data, place = body(image, address), address
    for at, encoding in code.instructions(data, address):
        if encoding == code.SRET:
            left = restored(data[place - address : at - address], place)
            found.append((place, left.get(_SP), left.get(_A0)))
        if encoding == code.SRET or code.csr_written(encoding) is not None:
            place = at + code.size_of(encoding)
    return found
