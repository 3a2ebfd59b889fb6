"""How gdb prints the kernel's own types: addresses with symbols, flags and CSRs in words.

A type is known by the last segment of its path, as the kernel's description has it, and by its
shape, so that a moved module or a renamed crate changes nothing. `print/r` shows a value as it is;
`disable pretty-printer global rcdbg` and `disable pretty-printer global rcdbg;Context` turn them
off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gdb
import gdb.printing

from gdbscripts.machine.kernel import current_description, current_image, current_kernel
from gdbscripts.values import reading
from rcdbg.errors import RcdbgError

if TYPE_CHECKING:
    from rcdbg.kernels.description import Description, Paths
    from rcdbg.model.state import Thread

    Children = Iterator[tuple[str, str | gdb.Value]]

_PAGE_SHIFT = 12
_NAME = "rcdbg"
_FLAGS = ("valid", "readable", "writable", "executable", "user", "global", "accessed", "dirty")


class _Text:
    """Prints as a text alone."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def to_string(self) -> str:
        """The text, or why there is none."""
        return _safely(self._text)


class _WithChildren(_Text):
    """Prints as a text, and fields in braces."""

    def __init__(self, text: Callable[[], str], children: Callable[[], Children]) -> None:
        super().__init__(text)
        self._children = children

    def children(self) -> Children:
        """The fields; those before one that cannot be read."""
        try:
            yield from self._children()
        except (gdb.error, RcdbgError) as error:
            yield "...", f"<unreadable: {error}>"


def _safely(text: Callable[[], str]) -> str:
    from rcdbg.model.values.value import DecodeError

    try:
        return text()
    except (gdb.error, RcdbgError, DecodeError) as error:
        return f"<unreadable: {error}>"


def _where(address: int) -> str:
    """An address with its symbol, if it lies in one."""
    try:
        found = current_image().symbols.at(address)
    except RcdbgError:
        found = None
    if found is None:
        return f"{address:#x}"
    name, offset = found
    return f"{address:#x} <{name}+{offset}>" if offset else f"{address:#x} <{name}>"


def _number(value: gdb.Value) -> int:
    number = reading.scalar(value)
    if number is None:
        raise gdb.error(f"{value.type} is not a single number")
    return number


def _virtual(value: gdb.Value) -> _Text:
    return _Text(lambda: _where(_number(value)))


def _physical(value: gdb.Value) -> _Text:
    return _Text(lambda: f"{_number(value):#x}")


def _page(value: gdb.Value) -> _Text:
    def text() -> str:
        number = _number(value)
        return f"page {number:#x} (at {number << _PAGE_SHIFT & (1 << 64) - 1:#x})"

    return _Text(text)


def _flags(value: gdb.Value) -> _Text:
    def text() -> str:
        bits = _number(value)
        words = [name for bit, name in enumerate(_FLAGS) if bits >> bit & 1]
        return f"{bits:#x} ({' '.join(words) or 'none'})"

    return _Text(text)


def _entry(value: gdb.Value) -> _Text:
    def text() -> str:
        from rcdbg.riscv.pte import Pte

        pte = Pte(_number(value))
        if not pte.valid:
            return f"{pte.bits:#x} (not valid)"
        # At a level above 0 more is reserved, but an entry does not know its level.
        if why := pte.reserved(1 if not pte.leaf else 0):
            return f"{pte.bits:#x} ({why})"
        leads = "page at" if pte.leaf else "next table at"
        return f"{pte.bits:#x} ({leads} {pte.address:#x} {pte.flags})"

    return _Text(text)


def _csr(name: str) -> Callable[[gdb.Value], _Text]:
    def printer(value: gdb.Value) -> _Text:
        def text() -> str:
            return _csr_in_words(name, _number(value))

        return _Text(text)

    return printer


def _csr_in_words(name: str, number: int) -> str:
    from rcdbg.riscv.csr import decode

    csr = decode(name, number)
    words = "; ".join(dict.fromkeys(part for part in (csr.text, *csr.reserved) if part))
    return f"{number:#x} ({words})" if words else f"{number:#x}"


def _part(value: gdb.Value, paths: Paths) -> gdb.Value:
    """What lies at the first of these paths that the value has."""
    for path in paths:
        found: gdb.Value | None = value
        for step in path.steps:
            name = getattr(step, "name", None)
            found = None if found is None or name is None else reading.dig(found, name)
        if found is not None:
            return found
    raise gdb.error(f"{value.type} has no {paths.first}")


def _context(value: gdb.Value) -> _WithChildren:
    def text() -> str:
        return f"interrupted at {_where(_number(_part(value, current_description().context.sepc)))}"

    def children() -> Children:
        from rcdbg.riscv.registers import ABI_NAMES

        names = current_description().context
        yield "sepc", _where(_number(_part(value, names.sepc)))
        yield "sstatus", _csr_in_words("sstatus", _number(_part(value, names.sstatus)))
        saved = _part(value, names.registers)
        first, last = saved.type.strip_typedefs().range()
        for number, name in enumerate(ABI_NAMES[-(last - first + 1) :], first):
            yield name, _where(_number(saved[number]))

    return _WithChildren(text, children)


def _mutex(value: gdb.Value) -> _WithChildren:
    """Any lock: `lock` says whether it is held, `data` is what it protects."""

    def text() -> str:
        flag = reading.dig(value, "lock")
        if flag is None:
            raise gdb.error("a lock without a flag")
        return "locked" if _number(flag) else "not locked"

    def children() -> Children:
        data = reading.dig(value, "data")
        if data is not None:
            yield "data", _out_of_cells(data)

    return _WithChildren(text, children)


def _out_of_cells(value: gdb.Value) -> gdb.Value:
    for _ in range(reading.MAX_DEPTH):
        inner = [field for _, field in reading.fields(value)]
        if not (value.type.name or "").startswith("core::cell::") or len(inner) != 1:
            break
        value = inner[0]
    return value


def _range(value: gdb.Value) -> _Text:
    def text() -> str:
        start, end = _number(value["start"]), _number(value["end"])
        words = f"{start:#x}..{end:#x}"
        if end < start:
            return f"{words} (the end is before the start)"
        kind, units = reading.base_name(value["start"].type), current_description().units
        unit = "pages" if kind in units.pages else "bytes" if kind in units.addresses else ""
        return f"{words} ({end - start} {unit}".rstrip() + ")"

    return _Text(text)


def _thread(value: gdb.Value) -> _Text:
    def text() -> str:
        number = _number(_part(value, current_description().thread.id))
        known = None if value.address is None else _thread_at(int(value.address))
        return f"thread {number}, {_how(known)}" if known else f"thread {number}, in no queue"

    return _Text(text)


def _thread_at(address: int) -> Thread | None:
    from rcdbg.model.threads.processor import read_processor

    threads = read_processor(current_kernel()).threads
    return next((t for t in threads if t.address == address & (1 << 64) - 1), None)


def _how(thread: Thread) -> str:
    words: list[str] = [thread.status]
    if thread.position is not None:
        words[0] += f" (place {thread.position} in the queue)"
    if thread.context is not None:
        words.append(f"parked at {_where(thread.context.sepc.address)}")
    if thread.stack is not None:
        size = thread.stack.end - thread.stack.start
        used = thread.stack_used
        words.append(f"stack of {size} bytes" + (f", {used} used" if used is not None else ""))
    return ", ".join(words)


def _holds_number(kind: gdb.Type) -> bool:
    """Whether it is a struct of one number, as far as the type tells."""
    for _ in range(reading.MAX_DEPTH):
        if kind.code == gdb.TYPE_CODE_INT:
            return True
        if kind.code != gdb.TYPE_CODE_STRUCT:
            return False
        inner = [f.type for f in kind.fields() if f.type is not None and f.type.sizeof]
        if len(inner) != 1:
            return False
        kind = inner[0].strip_typedefs()
    return False


def _has(parts: Callable[[Description], Sequence[Paths]]) -> Callable[[gdb.Type], bool]:
    """Whether a struct has fields that these parts begin with."""

    def fits(kind: gdb.Type) -> bool:
        fields = {field.name for field in kind.fields()}
        return all(
            any(getattr(path.steps[0], "name", None) in fields for path in paths if path.steps)
            for paths in parts(current_description())
        )

    return fits


def _is_byte(kind: gdb.Type) -> bool:
    return bool(kind.sizeof == 1) and _holds_number(kind)


def _is_range(kind: gdb.Type) -> bool:
    ends = {f.name: f.type for f in kind.fields() if f.name in ("start", "end") and f.type}
    numbers = [t.code == gdb.TYPE_CODE_INT or _holds_number(t.strip_typedefs())
               for t in ends.values()]  # fmt: skip
    return len(numbers) == len(kind.fields()) == 2 and all(numbers)


def _is_lock(kind: gdb.Type) -> bool:
    """Whether it has `lock` and `data`, itself or in the wrappers around the only field."""
    for _ in range(reading.MAX_DEPTH):
        if kind.code != gdb.TYPE_CODE_STRUCT:
            return False
        inner = {f.name: f.type for f in kind.fields() if f.type is not None and f.type.sizeof}
        if {"lock", "data"} <= inner.keys():
            return True
        if len(inner) != 1:
            return False
        kind = next(iter(inner.values())).strip_typedefs()
    return False


_Printer = Callable[[gdb.Value], _Text]


@dataclass(frozen=True)
class _Known:
    """A type that is printed: what it is called, when a type of that name is it, and how."""

    names: Callable[[Description], Sequence[str]]
    fits: Callable[[gdb.Type], bool]
    printer: _Printer


def _called(*names: str) -> Callable[[Description], Sequence[str]]:
    """Types of libraries, which are called so in every kernel."""
    return lambda _: names


_PRINTERS: dict[str, _Known] = {
    "Physical": _Known(lambda d: d.units.physical, _holds_number, _physical),
    "Virtual": _Known(lambda d: d.units.addresses, _holds_number, _virtual),
    "Page": _Known(lambda d: d.units.pages, _holds_number, _page),
    "Flags": _Known(lambda d: d.units.flags, _is_byte, _flags),
    "Entry": _Known(lambda d: d.units.entries, _holds_number, _entry),
    **{
        name: _Known(_called(name), _holds_number, _csr(name.lower()))
        for name in ("Sstatus", "Scause", "Satp", "Stvec", "Sie", "Sip")
    },
    "Context": _Known(
        lambda d: d.context.type,
        _has(lambda d: (d.context.registers, d.context.sstatus, d.context.sepc)),
        _context,
    ),
    "Thread": _Known(
        lambda d: d.thread.type,
        _has(lambda d: (d.thread.id, d.thread.stack_start, d.thread.process)),
        _thread,
    ),
    "Lock": _Known(_called("Lock", "Mutex", "SpinMutex"), _is_lock, _mutex),
    "Range": _Known(_called("Range"), _is_range, _range),
}
"""By the names that gdb's `disable pretty-printer` knows them by."""


class _Printers(gdb.printing.PrettyPrinter):
    """All of them, as one printer with a subprinter for each kind."""

    def __init__(self) -> None:
        kinds = [gdb.printing.SubPrettyPrinter(name) for name in _PRINTERS]
        super().__init__(_NAME, kinds)
        self._enabled = {kind.name: kind for kind in kinds}
        self._titles: tuple[Description, dict[str, str]] | None = None

    def __call__(self, value: gdb.Value) -> _Text | None:
        """The printer of a value, or None if it is no type of the kernel's."""
        kind = value.type.strip_typedefs()
        if kind.code != gdb.TYPE_CODE_STRUCT:
            return None
        title = self._title(reading.base_name(kind))
        if title is None or not getattr(self._enabled[title], "enabled", True):
            return None
        known = _PRINTERS[title]
        return known.printer(value) if known.fits(kind) else None

    def _title(self, name: str) -> str | None:
        """What a type of that name is, in this kernel."""
        try:
            description = current_description()
        except RcdbgError:
            return None
        if self._titles is None or self._titles[0] is not description:
            # The first that has a name counts: physical addresses are addresses, too.
            pairs = ((n, title) for title, known in _PRINTERS.items()
                     for n in known.names(description))  # fmt: skip
            titles: dict[str, str] = {}
            for known_name, title in pairs:
                titles.setdefault(known_name, title)
            self._titles = description, titles
        return self._titles[1].get(name)


def _into(space: gdb.Progspace | None) -> None:
    if space is None or any(getattr(p, "name", None) == _NAME for p in space.pretty_printers):
        return
    gdb.printing.register_pretty_printer(space, _Printers())


def _on_new_objfile(event: gdb.NewObjFileEvent) -> None:
    _into(event.new_objfile.progspace)


def register() -> None:
    """Have the program of this moment, and those loaded later, printed so."""
    _into(gdb.current_progspace())
    gdb.events.new_objfile.connect(_on_new_objfile)
