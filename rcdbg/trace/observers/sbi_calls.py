"""Calls of the firmware as events: lines on the console, timers, and all the rest."""

from collections.abc import Callable, Iterator
from typing import Any

from rcdbg.errors import MemoryReadError
from rcdbg.riscv import sbi
from rcdbg.trace.moment import Moment

MAX_LINE = 4096
"""Bytes of a line before it is told without its end."""

_A0, _A6, _A7 = 10, 16, 17

Told = tuple[str, dict[str, Any], tuple[str, ...]]
"""Kind, fields and marks of an event."""


class SbiCalls:
    """What the kernel has asked the firmware for so far."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._last: tuple[Moment, int | None] | None = None

    def called(
        self, moment: Moment, read_physical: Callable[[int, int], bytes], thread: int | None
    ) -> Iterator[Told]:
        """The events of one call, whose registers `moment` has."""
        x = moment.registers.x
        extension, function = x[_A7], x[_A6]
        if extension == sbi.LEGACY_SET_TIMER or (extension, function) == (sbi.TIME, 0):
            yield "timer_set", {"deadline": x[_A0]}, ()
        elif extension == sbi.LEGACY_PUTCHAR:
            yield from self._written(moment, bytes((x[_A0] & 0xFF,)), thread)
        elif extension == sbi.DEBUG_CONSOLE:
            yield from self._debug_console(moment, read_physical, thread)
        elif extension != sbi.LEGACY_GETCHAR:
            legacy = extension <= sbi.LAST_LEGACY
            fields = {
                "extension": extension,
                "function": None if legacy else function,
                "name": sbi.name(extension, function),
                "arguments": list(x[_A0 : _A0 + 3]),
            }
            yield "sbi", fields, ()

    def rest(self) -> tuple[Moment, str, int | None] | None:
        """What was written after the last end of a line, if anything was, and by whom."""
        if not self._line or self._last is None:
            return None
        moment, thread = self._last
        return moment, self._take(), thread

    def _debug_console(
        self, moment: Moment, read_physical: Callable[[int, int], bytes], thread: int | None
    ) -> Iterator[Told]:
        x = moment.registers.x
        if x[_A6] == sbi.DBCN_WRITE_BYTE:
            yield from self._written(moment, bytes((x[_A0] & 0xFF,)), thread)
        elif x[_A6] == sbi.DBCN_WRITE:
            try:
                data = read_physical(x[_A0 + 1] | x[_A0 + 2] << 64, min(x[_A0], MAX_LINE))
            except MemoryReadError as error:
                yield "console", {"text": ""}, (str(error),)
                return
            current = moment.memory_is_current()
            marks = () if current else ("read from memory that may have changed since",)
            for kind, fields, more in self._written(moment, data, thread):
                yield kind, fields, (*more, *marks)

    def _written(self, moment: Moment, data: bytes, thread: int | None) -> Iterator[Told]:
        self._last = moment, thread
        for byte in data:
            if byte == 0x0A:
                yield "console", {"text": self._take()}, ()
                continue
            self._line.append(byte)
            if len(self._line) >= MAX_LINE:
                yield "console", {"text": self._take()}, ("the line has no end",)

    def _take(self) -> str:
        text = self._line.decode("utf-8", "replace").rstrip("\r")
        self._line.clear()
        return text
