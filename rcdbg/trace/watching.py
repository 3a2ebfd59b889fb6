"""What a story watches: the events that its test has asked for, and those that are always told."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rcdbg.image.resolve import resolve
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads import read_processor
from rcdbg.riscv import causes
from rcdbg.trace.patterns import Either, Pattern
from rcdbg.trace.record import TraceEvent

_NOT_SHOWN = ("scause", "interrupt", "stack")


class Watch:
    """INTERIM."""

    def __init__(self, now: Callable[[], Kernel], kinds: Sequence[str]) -> None:
        self._now = now
        self.kinds: set[str] = set(kinds)
        self.hits: set[str] = set()
        self._thread: int | None = None
        self._set()

    def has(self, kind: str) -> bool:
        return kind in self.kinds

    def widen(self, kinds: Iterable[str], hits: Iterable[str]) -> None:
        self.kinds |= set(kinds)
        self.hits |= set(hits)
        self._set()

    def _set(self) -> None:
        kernel = self._now()
        image, profile = kernel.image, kernel.profile
        self._enter = resolve(image, profile.trap_entry)
        self._leave = resolve(image, profile.trap_return)
        self._hits = {resolve(image, hit): hit for hit in self.hits}
        self.places = {self._enter, self._leave, *self._hits}

    def events(self, kernel: Kernel, ticks: int | None) -> Iterator[TraceEvent]:
        pc = kernel.registers.pc
        if pc == self._enter:
            c = kernel.csr("scause") or 0
            word = causes.describe(c)
            yield self._event(
                "trap_enter",
                kernel,
                ticks,
                cause=word,
                sepc=kernel.csr("sepc"),
                stval=kernel.csr("stval"),
            )
        elif pc == self._leave:
            yield self._event("trap_leave", kernel, ticks)
            now = read_processor(kernel).current
            number = now.id if now else None
            if number != self._thread:
                before, self._thread = self._thread, number
                yield self._event(
                    "switch", kernel, ticks, **{"from": before, "to": number, "why": "unknown"}
                )
        if pc in self._hits:
            yield self._event("hit", kernel, ticks, symbol=self._hits[pc], arguments={})

    def _event(self, kind: str, kernel: Kernel, ticks: int | None, **fields: Any) -> TraceEvent:
        p = kernel.place(kernel.registers.pc)
        return TraceEvent(
            0, kind, ticks, None, 0, self._thread, p.address, f"{p.symbol}+{p.offset:#x}", fields
        )

    def heard(self, line: str, ticks: int | None) -> TraceEvent:
        """A line that was printed before the machine's present stop."""
        return TraceEvent(0, "console", ticks, None, 0, self._thread, 0, "", {"text": line})


def kinds_of(awaited: Iterable[Any]) -> tuple[set[str], set[str]]:
    """The kinds of events, and the functions, that have to be watched for these to be seen."""
    kinds: set[str] = set()
    hits: set[str] = set()
    for one in awaited:
        if isinstance(one, Either):
            more = kinds_of(one.matchers)
            kinds |= more[0]
            hits |= more[1]
        elif isinstance(one, Pattern) and one.kind is not None:
            kinds.add(one.kind)
            symbol = one.fields.get("symbol")
            if one.kind == "hit" and isinstance(symbol, str):
                hits.add(symbol)
    return kinds, hits


def one_line(event: TraceEvent) -> str:
    """An event in a line: its number, time in ms, thread, kind and fields."""
    time = "" if event.ticks is None else f"{event.ticks / 10_000:.3f} ms"
    thread = "boot" if event.thread is None else f"thread {event.thread}"
    fields = [f"{k}={_word(v)}" for k, v in event.fields.items() if k not in _NOT_SHOWN]
    if event.kind == "console":
        fields = [repr(event.fields["text"])]
    return f"{event.seq:>5}  {time:>12}  {thread:<9}  {event.kind:<12}  {' '.join(fields)}".rstrip()


def _word(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 0xFFFF:
        return f"{value:#x}"
    return "-" if value is None else str(value)
