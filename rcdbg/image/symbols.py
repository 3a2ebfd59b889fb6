"""The symbol table: names to addresses and back, with Rust names in readable form.

Source of the format: System V ABI, chapter 4, "Symbol Table".
"""

import difflib
import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rcdbg.errors import UsageError
from rcdbg.image.demangle import demangle

_ENTRY = struct.Struct("<IBBHQQ")
_SHN_UNDEF, _SHN_ABS = 0, 0xFFF1
_STT_NOTYPE, _STT_OBJECT, _STT_FUNC, _STT_FILE = 0, 1, 2, 4
_KINDS = {_STT_NOTYPE: "label", _STT_OBJECT: "data", _STT_FUNC: "code"}

_LLVM_SUFFIX = re.compile(r"(\.llvm\.\d+|\.\d+)+$")

_BRACKETS = {s: re.compile(rf"->|[<>()\[\]{{}}]|{s}") for s in ("::", " as ")}
"""What matters to a text that is split by a separator; the bracket of an arrow is none."""

_LISTED = 6
"""How many candidates an error message names."""

_OVERLAPS = 16
"""How many symbols may start between an address and the start of the one that covers it."""

Region = tuple[int, int]
"""First address, and the one behind the last."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """An ELF symbol: its name in the file, address, size in bytes, and "code", "data" or "label".

    A label has no size of its own: those of assembly and of linker scripts.
    """

    name: str
    address: int
    size: int
    kind: str
    is_local: bool
    section: int

    @property
    def path(self) -> str:
        """The Rust path, or the name as it stands when it is not a Rust name."""
        return demangle(self.name) or self.name


class Symbols:
    """All symbols of an image, without the compiler's local labels (`.L...`, `$x`, `$d`)."""

    def __init__(self, symbols: Sequence[Symbol], regions: Sequence[Region]) -> None:
        """`regions` are the allocated sections: a label reaches no further than its own."""
        self._symbols = sorted(symbols, key=_rank)
        self._regions = sorted(regions)

    def __iter__(self) -> Iterator[Symbol]:
        """By address."""
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    def address_of(self, name: str) -> int | None:
        """The address of the symbol of that name; None when there is none.

        `name` is an ELF symbol name, a Rust path, or the last segments of one
        (`handle_interrupt`, `Thread::prepare`); generic arguments may be left out.
        Raises UsageError, naming the candidates, when several addresses have that name.
        """
        for candidates in self._candidates(name):
            addresses = {symbol.address for symbol in candidates}
            if len(addresses) == 1:
                return addresses.pop()
            if addresses:
                raise UsageError(_ambiguous(name, candidates))
        return None

    def at(self, address: int) -> tuple[str, int] | None:
        """The readable name of the symbol that covers an address, and the offset in bytes."""
        symbol = self.covering(address)
        return (symbol.path, address - symbol.address) if symbol is not None else None

    def covering(self, address: int) -> Symbol | None:
        """The symbol that covers an address: the nearest one below that reaches so far."""
        last = bisect_right(self._addresses, address) - 1
        passed_an_end = False
        for index in range(last, max(last - _OVERLAPS, -1), -1):
            symbol = self._symbols[index]
            if symbol.section == _SHN_ABS:
                continue
            if symbol.size:
                if address < symbol.address + symbol.size:
                    return symbol
                passed_an_end = True
            elif not passed_an_end and self._region(address) == self._region(symbol.address):
                # A label reaches to the next symbol, within its section.
                return symbol if self._region(address) is not None else None
        return None

    def suggest(self, name: str, count: int = 3) -> list[str]:
        """The names that look most like `name`, best first: for error messages."""
        short = _segments(name)[-1]
        near = difflib.get_close_matches(short, self._by_segment, count, 0.6)
        found = (self._symbols[index] for key in near for index in self._by_segment[key])
        return list(dict.fromkeys(simplified(symbol.path) for symbol in found))[:count]

    def complete(self, prefix: str, count: int = 50) -> list[str]:
        """Names that start with `prefix`, or whose last segments do, sorted: for completion."""
        parts = _segments(prefix)
        found = set()
        for symbol, segments in zip(self._symbols, self._paths, strict=True):
            if symbol.name.startswith(prefix) and symbol.path == symbol.name:
                found.add(symbol.name)
            elif len(segments) >= len(parts) and any(
                segments[start : start + len(parts) - 1] == parts[:-1]
                and segments[start + len(parts) - 1].startswith(parts[-1])
                for start in {0, len(segments) - len(parts)}
            ):
                found.add("::".join(segments))
        return sorted(found)[:count]

    def _candidates(self, name: str) -> Iterator[list[Symbol]]:
        """From the most exact reading of a name to the loosest."""
        exact = self._by_name.get(_LLVM_SUFFIX.sub("", name), [])
        yield [symbol for symbol in exact if not symbol.is_local] or exact
        wanted = _segments(name)
        same_end = [
            (self._symbols[index], self._paths[index])
            for index in self._by_segment.get(wanted[-1], ())
        ]
        yield [symbol for symbol, _ in same_end if symbol.path == name]
        yield [symbol for symbol, path in same_end if path == wanted]
        yield [symbol for symbol, path in same_end if path[-len(wanted) :] == wanted]

    def _region(self, address: int) -> int | None:
        index = bisect_right(self._regions, (address, 1 << 64)) - 1
        if index < 0 or address > self._regions[index][1]:
            return None
        # An address right behind a section belongs to it only if nothing else starts there.
        return index

    @cached_property
    def _addresses(self) -> list[int]:
        return [symbol.address for symbol in self._symbols]

    @cached_property
    def _by_name(self) -> dict[str, list[Symbol]]:
        found: dict[str, list[Symbol]] = {}
        for symbol in self._symbols:
            # LLVM marks private and split globals by suffixes that the DWARF does not have.
            found.setdefault(_LLVM_SUFFIX.sub("", symbol.name), []).append(symbol)
        return found

    @cached_property
    def _paths(self) -> list[list[str]]:
        return [_segments(symbol.path) for symbol in self._symbols]

    @cached_property
    def _by_segment(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for index, segments in enumerate(self._paths):
            found.setdefault(segments[-1], []).append(index)
        return found


def read_symbols(table: bytes, strings: bytes, regions: Sequence[Region]) -> Symbols:
    """The symbols of a 64-bit little-endian .symtab with its .strtab.

    Raises struct.error when the table's size is no multiple of 24.
    """
    symbols = []
    for name_offset, info, _, section, value, size in _ENTRY.iter_unpack(table):
        kind = _KINDS.get(info & 0xF)
        if kind is None or section == _SHN_UNDEF or not name_offset:
            continue
        # Local labels outnumber the rest twenty to one: relaxation keeps them in the file.
        if strings[name_offset : name_offset + 2] == b".L" or strings[name_offset] == 0x24:
            continue
        end = strings.find(b"\0", name_offset)
        name = strings[name_offset:end].decode("utf-8", "replace")
        if name:
            symbols.append(Symbol(name, value, size, kind, info >> 4 == 0, section))
    return Symbols(symbols, regions)


def read_files(table: bytes, strings: bytes) -> list[str]:
    """The names of the STT_FILE symbols of such a table, in its order."""
    found = []
    for name_offset, info, *_ in _ENTRY.iter_unpack(table):
        if info & 0xF == _STT_FILE and name_offset:
            end = strings.find(b"\0", name_offset)
            found.append(strings[name_offset:end].decode("utf-8", "replace"))
    return found


def simplified(path: str) -> str:
    """A Rust path without generic arguments, traits and angle brackets.

    >>> simplified("<os::memory::Pool<T> as core::ops::Deref>::deref")
    'os::memory::Pool::deref'
    """
    return "::".join(_segments(path))


def _segments(path: str) -> list[str]:
    """The segments of a path: `<A<T> as B>::c::<D>` has A and c."""
    path = path.strip()
    if path.startswith("<") and (end := _closing(path, 0)) > 0:
        inner = _split(path[1:end], " as ")[0].strip()
        rest = path[end + 1 :].removeprefix("::")
        return _segments(inner) + (_segments(rest) if rest else [])
    found: list[str] = []
    for part in _split(path, "::"):
        # `{closure#0}` and operators such as `<<` aside, arguments start at the first bracket.
        name = part.partition("<")[0] or part
        if not (part.startswith("<") and found):
            found.append(name)
    return found


def _closing(text: str, start: int) -> int:
    """The index of the bracket that closes the one at `start`; -1 when there is none."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] == "<":
            depth += 1
        elif text[index] == ">" and text[index - 1] != "-":
            depth -= 1
            if depth == 0:
                return index
    return -1


def _split(text: str, separator: str) -> list[str]:
    """`text` split where the separator stands outside of all brackets."""
    parts, depth, start = [], 0, 0
    for match in _BRACKETS[separator].finditer(text):
        match match[0]:
            case "<" | "(" | "[" | "{":
                depth += 1
            case ">" | ")" | "]" | "}":
                depth -= 1
            case "->":
                pass
            case _ if depth == 0:
                parts.append(text[start : match.start()])
                start = match.end()
    parts.append(text[start:])
    return parts


def _rank(symbol: Symbol) -> tuple[int, int, int, str]:
    """By address; of those that share one, the best name for it last."""
    # A sized symbol says what the bytes are; a global name is one that somebody chose.
    return symbol.address, bool(symbol.size), not symbol.is_local, symbol.name


def _ambiguous(name: str, candidates: Sequence[Symbol]) -> str:
    names = [f"{symbol.path} ({symbol.address:#x})" for symbol in candidates]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{name} is ambiguous: {', '.join(names[:_LISTED])}{more}; give more of the path"
