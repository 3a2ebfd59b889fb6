"""A kernel that gives up: where its panic function is, and what it was called with.

Rust's `#[panic_handler]` gets a `&core::panic::PanicInfo`, whose location is a file, a line and a
column; a kernel in C calls a function with a text. The calling convention puts either into a0.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from rcdbg.errors import MemoryReadError, RcdbgError
from rcdbg.image.elf import Image
from rcdbg.image.types import BaseType, PointerType
from rcdbg.kernels.description import RUSTS_PANIC, Description
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.kernel import Kernel
from rcdbg.model.panic_message import message_text, text_of
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Backtrace, Place, StackFrame
from rcdbg.model.threads.inlined import with_inlined
from rcdbg.model.threads.unwind import backtrace_now
from rcdbg.model.values.containers import base_name, dig, pointer_in
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.registers import unsigned

_A0 = 10
_MOST = 200
_WORD = 8
_MAX_SCANNED = 1 << 12
"""Bytes of a panic's stack frames that are looked through."""


def panic_entry(image: Image, description: Description) -> int | None:
    """The first instruction of the function that a panic calls; None if none is known."""
    found = first_symbol(image, description.calls.panic or RUSTS_PANIC)
    return None if found is None else found[1]


def panicking(kernel: Kernel) -> str:
    """In words that the kernel panics, and where or why; empty unless it stands at that entry."""
    entry = panic_entry(kernel.image, kernel.description)
    if entry is None or unsigned(kernel.registers.pc) != entry:
        return ""
    try:
        why = _why(kernel, entry)
    except (DecodeError, RcdbgError):
        why = ""
    return f"the kernel panics{why}"


@dataclass(frozen=True, slots=True)
class Panic:
    """A panic that is on the call stack: what was said, and by which line."""

    place: Place | None
    """The code that gave up: neither the panic's own functions nor those of Rust's library."""
    file: str = ""
    line: int | None = None
    message: str = ""
    """`…` in it stands for what only the kernel's own formatter could tell; "" if not known."""
    frame: int = 0
    """The position of its function on the call stack, 0 the innermost."""
    count: int = 1
    """How many panics are on the call stack, one inside the other; this is the first."""


@once_a_moment
def read_panic(kernel: Kernel) -> Panic | None:
    """The panic that the hart is in the middle of, the outermost one; None without; never fails."""
    entry = panic_entry(kernel.image, kernel.description)
    if entry is None:
        return None
    frames = backtrace_now(kernel).frames
    at = [i for i, frame in enumerate(frames) if _function_of(kernel, frames, i) == entry]
    if not at:
        return None
    said = _Said()
    for pointer in _candidates(kernel, frames, at[-1], entry):
        try:
            said = _said(kernel, entry, pointer)
        except (DecodeError, RcdbgError):
            continue
        if said.file or said.message:
            break
    file, line = said.file, said.line
    place = _panicking(kernel, frames, at[-1], file, line)
    if place is not None and file and place.file is None:
        place = replace(place, file=file, line=line)
    return Panic(place, file, line, said.message, at[-1], len(at))


def _function_of(kernel: Kernel, frames: Sequence[StackFrame], position: int) -> int | None:
    """The first address of the function of a stack frame."""
    pc = _lookup(frames, position)
    found = kernel.image.symbols.at(kernel.linked(pc))
    return None if found is None else pc - found[1]


def _lookup(frames: Sequence[StackFrame], position: int) -> int:
    """An address inside of the call: behind one that never returns another function may begin."""
    pc = frames[position].pc.address
    return pc if position == 0 or frames[position - 1].is_trap else pc - 1


def _candidates(kernel: Kernel, frames: Sequence[StackFrame], at: int, entry: int) -> Iterator[int]:
    """Where what the panic was called with may be: in a0, or as a word on its stack."""
    if unsigned(kernel.registers.pc) == entry:
        yield unsigned(kernel.registers.x[_A0])
        return
    start = frames[at].sp
    end = frames[min(at + 1, len(frames) - 1)].cfa or frames[at].cfa
    if start is None or end is None or not start < end <= start + _MAX_SCANNED:
        return
    try:
        data = kernel.own_memory.read(start, (end - start) & -_WORD)
    except MemoryReadError:
        return
    yield from dict.fromkeys(
        int.from_bytes(data[i : i + _WORD], "little") for i in range(0, len(data), _WORD)
    )


def _panicking(
    kernel: Kernel, frames: Sequence[StackFrame], at: int, file: str, line: int | None
) -> Place | None:
    """The code that gave up: at that line of the source, or the first that is the kernel's own."""
    own: Place | None = None
    if any(part in file for part in _NOT_OWN):
        file = ""  # what gave up there was called by the kernel
    for position in range(at + 1, len(frames)):
        if frames[position].pc.program is not None:
            break
        place = kernel.place(_lookup(frames, position))
        for inner in with_inlined(kernel, Backtrace((frames[position],), "")).frames:
            at_line = inner.pc.line == line and inner.pc.file is not None
            if file and at_line and str(inner.pc.file).endswith(file.removeprefix("./")):
                return replace(place, file=inner.pc.file, line=line)
        if file and place.line == line and place.file and place.file.endswith(file):
            return place
        if own is None and not _is_library(place):
            own = place
    return own


_LIBRARY = re.compile(r"<?&*(mut )?(core|alloc|std|__rustc|compiler_builtins|spin)(::|$)|__r")
_NOT_OWN = ("/rustc/", "/.cargo/registry/", "/rustlib/")


def _is_library(place: Place) -> bool:
    """Whether that is code of Rust's library or of another crate, not of the kernel."""
    if place.file is not None and any(part in place.file for part in _NOT_OWN):
        return True
    return place.symbol is None or _LIBRARY.match(place.symbol) is not None


def _why(kernel: Kernel, entry: int) -> str:
    said = _said(kernel, entry, unsigned(kernel.registers.x[_A0]))
    if said.file:
        return f" at {said.file}:{said.line}:{said.column}"
    return f": {said.message}" if said.message else ""


class _Said(NamedTuple):
    """What a panic was called with."""

    file: str = ""
    line: int | None = None
    column: int | None = None
    message: str = ""


def _said(kernel: Kernel, entry: int, argument: int) -> _Said:
    """What a panic was called with.

    Raises DecodeError or an RcdbgError if there is no such thing at that address.
    """
    function = kernel.image.functions.at(entry)
    if function is None or not function.parameters:
        return _Said()
    types = kernel.image.types
    kind = types.type(function.parameters[0][1])
    if not isinstance(kind, PointerType):
        return _Said()
    target = types.type(kind.target)
    if isinstance(target, BaseType) and target.size == 1:
        return _Said(message=_c_text(kernel, argument))
    if base_name(target) != "PanicInfo":
        return _Said()
    info = Value(kernel.space, kind.target, argument, "the panic")
    said, message = _location(dig(info, "location")), ""
    with suppress(DecodeError, RcdbgError):
        pointer = pointer_in(dig(info, "message"))
        if isinstance(pointer.type, PointerType):
            arguments = pointer.at(pointer.type.target, pointer.scalar(), "the message")
            message = " ".join(message_text(kernel, arguments).split())
    return said._replace(message=message)


def _location(pointer: Value) -> _Said:
    kind = pointer.type
    if not isinstance(kind, PointerType):
        return _Said()
    location = pointer.at(kind.target, pointer.scalar(), pointer.path)
    file = next(filter(None, map(text_of, location.fields())), "")
    if not file.isprintable():
        raise DecodeError(pointer.path, "no path of a source file")
    line, column = (
        location[name].scalar() if location.has(name) else None for name in ("line", "col")
    )
    return _Said(file.rstrip("\0"), line, column)


def _c_text(kernel: Kernel, address: int) -> str:
    data = kernel.memory.read(address, _MOST)
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
