"""QEMU's log of `-d int,cpu,fpu,exec`, as it grows: traps, and the hart's state at chosen places.

Sources: QEMU's `riscv_cpu_do_interrupt` (target/riscv/cpu_helper.c), `riscv_cpu_dump_state`
(target/riscv/cpu.c) and `cpu_tb_exec` (accel/tcg/cpu-exec.c). All states that one QEMU writes have
one layout; it is learned from the first one, and every other is compared with it, byte by byte,
before its digits are read.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_STATE = 1 << 14
"""Bytes: text that goes on longer without the last register is no state of a hart."""

_LAST_REGISTER = b" x31/t6  "
_INTERRUPT = re.compile(
    rb"riscv_cpu_do_interrupt: hart:(\d{1,9}), async:([01]), cause:([0-9a-f]{16}), "
    rb"epc:0x([0-9a-f]{16}), tval:0x([0-9a-f]{16}), desc="
)
_STOPPED = re.compile(rb"Stopped execution of TB chain before \S+ \[([0-9a-f]{1,16})\]")
_ANNOUNCEMENTS = (b"Trace ", b"Linking TBs ")
_BEGINNINGS = (b" V  ", b" pc  ")
_FLOATS = (b" fcsr ", *(b" f%d/" % number for number in range(32)))
_REGISTER = re.compile(rb"([a-z][\w/]*) +([0-9a-f]{16})(?=[ \n])")
_SPACE = 0x20
_DIGITS = 16


class Interrupt(NamedTuple):
    """A trap that the hart takes, of whatever privilege; `cause` is without the interrupt bit."""

    hart: int
    asynchronous: bool
    cause: int
    epc: int
    tval: int


class NotExecuted(NamedTuple):
    """The block at `pc`, whose state was logged right before, was left before it executed."""

    pc: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in a state of `size` bytes the 16 digits of each register are."""

    size: int
    names: tuple[str, ...]
    _mask: int = field(repr=False)
    _template: int = field(repr=False)
    _digits: struct.Struct = field(repr=False, compare=False)
    _values: struct.Struct = field(repr=False, compare=False)

    def decode(self, text: bytes) -> tuple[int, ...] | None:
        """The values in the order of `names`; None for text that is not of this layout."""
        if len(text) != self.size or int.from_bytes(text, "little") & self._mask != self._template:
            return None
        try:
            digits = b"".join(self._digits.unpack(text)).decode("ascii")
            return self._values.unpack(bytes.fromhex(digits))
        except (ValueError, struct.error):
            return None

    def may_begin(self, text: bytes) -> bool:
        """Whether this, shorter than a state, can be the beginning of one."""
        cut = (1 << 8 * len(text)) - 1
        return (
            len(text) < self.size
            and int.from_bytes(text, "little") & self._mask & cut == self._template & cut
        )


def learn(text: bytes) -> Layout | None:
    """The layout of this state; None if it is not a whole one: pc, x0 to x31 in order, CSRs."""
    found = list(_REGISTER.finditer(text))
    names = [match[1].decode("ascii").split("/")[0] for match in found]
    first = next((at for at, name in enumerate(names) if name == "x0"), None)
    if first is None or names[first:] != [f"x{n}" for n in range(32)] or "pc" not in names[:first]:
        return None
    if len(set(names)) != len(names):
        return None
    mask, pattern, at = bytearray(b"\xff" * len(text)), "<", 0
    for match in found:
        start, end = match.span(2)
        mask[start:end] = bytes(_DIGITS)
        pattern += f"{start - at}x{_DIGITS}s"
        at = end
    bits = int.from_bytes(mask, "little")
    return Layout(
        size=len(text),
        names=tuple(names),
        _mask=bits,
        _template=int.from_bytes(text, "little") & bits,
        _digits=struct.Struct(f"{pattern}{len(text) - at}x"),
        _values=struct.Struct(f">{len(names)}Q"),
    )


class HartState(NamedTuple):
    """A hart's registers right before the block of instructions at its pc."""

    layout: Layout
    values: tuple[int, ...]

    @property
    def pc(self) -> int:
        """The pc."""
        return self.values[self.layout.names.index("pc")]

    @property
    def x(self) -> tuple[int, ...]:
        """x0 to x31."""
        return self.values[-32:]

    @property
    def csrs(self) -> dict[str, int]:
        """The CSRs that QEMU shows, by name."""
        return dict(zip(self.layout.names[:-32], self.values, strict=False))


Item = Interrupt | HartState | NotExecuted


@dataclass(slots=True)
class LogParser:
    """Takes the log in pieces, cut anywhere. `strange` counts lines that were not understood."""

    strange: int = 0
    _rest: bytes = b""
    _layouts: list[Layout] = field(default_factory=list)

    def feed(self, data: bytes) -> Sequence[Item]:
        """What is complete with `data`, in the log's order."""
        text = self._rest + data if self._rest else data
        items: list[Item] = []
        at, end = 0, len(text)
        while at < end:
            if text.startswith(_FLOATS, at):
                after = text.find(b"\n", at) + 1 or -1
            elif text[at] == _SPACE:
                after = self._state(text, at, items)
            else:
                after = self._line(text, at, items)
            if after < 0:
                break
            at = after
        self._rest = text[at:]
        return items

    @property
    def rest(self) -> bytes:
        """The beginning of an item that has not come to its end."""
        return self._rest

    @property
    def unfinished(self) -> int:
        """Bytes of an item that has not come to its end."""
        return len(self._rest)

    def _line(self, text: bytes, at: int, items: list[Item]) -> int:
        end = text.find(b"\n", at) + 1
        if not end:
            # No line of this log is as long: whatever it is, it may not fill the memory.
            if len(text) - at <= MAX_STATE:
                return -1
            end = len(text)
        if text.startswith(_ANNOUNCEMENTS, at):
            return end
        match = _INTERRUPT.match(text, at, end)
        stopped = _STOPPED.match(text, at, end)
        if stopped is not None:
            items.append(NotExecuted(int(stopped[1], 16)))
        elif match is not None:
            hart, kind, cause, epc, tval = match.groups()
            items.append(
                Interrupt(int(hart), kind == b"1", int(cause, 16), int(epc, 16), int(tval, 16))
            )
        else:
            self.strange += 1
        return end

    def _state(self, text: bytes, at: int, items: list[Item]) -> int:
        for layout in self._layouts:
            piece = text[at : at + layout.size]
            values = layout.decode(piece)
            if values is not None:
                items.append(HartState(layout, values))
                return at + layout.size
            if layout.may_begin(piece):
                return -1
        return self._unknown_state(text, at, items)

    def _unknown_state(self, text: bytes, at: int, items: list[Item]) -> int:
        """A state that is not complete, is the first of its layout, or none at all."""
        line = at
        first = text.find(b"\n", at) + 1
        while not first or text.startswith(_BEGINNINGS, at):
            end = text.find(b"\n", line) + 1
            if not end:
                if len(text) - at <= MAX_STATE:
                    return -1
                break
            if text[line] != _SPACE or end - at > MAX_STATE:
                break
            if text.find(_LAST_REGISTER, line, end) >= 0:
                layout = learn(text[at:end])
                values = layout.decode(text[at:end]) if layout is not None else None
                if layout is None or values is None:
                    break
                self._layouts.insert(0, layout)
                del self._layouts[_MAX_LAYOUTS:]
                items.append(HartState(layout, values))
                return end
            line = end
        # Only this line is given up: a state may begin with the next one.
        self.strange += 1
        return first or len(text)


_MAX_LAYOUTS = 4
