"""Local variables of a function that lie on its stack frame, with the code in which each is there.

Source of the format: DWARF 5, sections 3.3.5 (frame base), 3.5 (lexical blocks), 4.1 (variables)
and 2.5 (expressions). Of places those are read that debug builds have: so many bytes from the frame
base. Lists of places, as optimised code has them, are not.
"""

from dataclasses import dataclass

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.dies import Attributes, Scanner
from rcdbg.image.dwarf.forms import DebugSections, sleb128
from rcdbg.image.dwarf.ranges import Range, code_ranges

MAX_LOCALS = 1024
"""Variables of one function that are noted."""

_CODE = frozenset({dw.AT_LOW_PC, dw.AT_HIGH_PC, dw.AT_RANGES})
_WANTED = {
    dw.TAG_COMPILE_UNIT: _CODE,
    dw.TAG_SUBPROGRAM: _CODE | {dw.AT_NAME, dw.AT_FRAME_BASE},
    dw.TAG_LEXICAL_BLOCK: _CODE,
    dw.TAG_VARIABLE: frozenset({dw.AT_NAME, dw.AT_TYPE, dw.AT_LOCATION}),
}


@dataclass(frozen=True, slots=True)
class FrameBase:
    """What places in a stack frame are counted from: a register there, or the CFA if it is None."""

    register: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class LocalVariable:
    """A local variable, `offset` bytes from the frame base."""

    name: str
    type: int
    """Of its type, as the tables of types have it."""
    base: FrameBase
    offset: int
    code: tuple[Range, ...]
    """Where in the code it is there: addresses and sizes."""

    def is_there(self, pc: int) -> bool:
        """Whether that code is in its scope."""
        return any(start <= pc < start + size for start, size in self.code)

    @property
    def extent(self) -> int:
        """Bytes of code in its scope: of two with one name the inner one has fewer."""
        return sum(size for _, size in self.code)


def local_variables(
    sections: DebugSections, function: str, entries: frozenset[int] = frozenset()
) -> tuple[LocalVariable, ...]:
    """Those of all functions of that name whose places are known.

    With the addresses of their entries, only the units are read that have code there.
    On damaged data it raises DwarfError, IndexError or struct.error.
    """
    found: list[LocalVariable] = []
    scanner = Scanner(sections, _WANTED)
    for unit in scanner.units():
        root: Attributes = {}
        scopes: list[tuple[int, tuple[Range, ...]]] = []
        base: FrameBase | None = None
        inside = -1
        for _, depth, tag, attributes in scanner.scan(unit):
            if not depth:
                root = attributes
                pieces = tuple(code_ranges(unit, root, root))
                if pieces and entries and not _reach(pieces, entries):
                    break
            while scopes and scopes[-1][0] >= depth:
                scopes.pop()
            if inside >= 0 and depth <= inside:
                inside = -1
            if tag == dw.TAG_SUBPROGRAM and inside < 0 and attributes.get(dw.AT_NAME) == function:
                base = _frame_base(attributes.get(dw.AT_FRAME_BASE))
                inside = depth if base is not None else -1
            if inside >= 0 and tag in (dw.TAG_SUBPROGRAM, dw.TAG_LEXICAL_BLOCK):
                pieces = tuple(code_ranges(unit, root, attributes))
                scopes.append((depth, pieces or (scopes[-1][1] if scopes else ())))
            elif inside >= 0 and tag == dw.TAG_VARIABLE and scopes and base is not None:
                offset = _from_base(attributes.get(dw.AT_LOCATION))
                if offset is not None and dw.AT_TYPE in attributes and len(found) < MAX_LOCALS:
                    name, kind = attributes.get(dw.AT_NAME, ""), attributes[dw.AT_TYPE]
                    found.append(LocalVariable(name, kind, base, offset, scopes[-1][1]))
    return tuple(found)


def _reach(pieces: tuple[Range, ...], entries: frozenset[int]) -> bool:
    return any(start <= entry < start + size for start, size in pieces for entry in entries)


def _frame_base(place: object) -> FrameBase | None:
    """A register, what a register points to, or the CFA; None of anything else."""
    if not isinstance(place, bytes) or not place:
        return None
    code = place[0]
    if place == bytes([dw.OP_CALL_FRAME_CFA]):
        return FrameBase(None, 0)
    if dw.OP_REG0 <= code < dw.OP_REG0 + 32 and len(place) == 1:
        return FrameBase(code - dw.OP_REG0, 0)
    if dw.OP_BREG0 <= code < dw.OP_BREG0 + 32:
        offset, end = sleb128(place, 1)
        return FrameBase(code - dw.OP_BREG0, offset) if end == len(place) else None
    return None


def _from_base(place: object) -> int | None:
    """The offset of a place in the stack frame; None of any other place."""
    if not isinstance(place, bytes) or not place or place[0] != dw.OP_FBREG:
        return None
    offset, end = sleb128(place, 1)
    return offset if end == len(place) else None
