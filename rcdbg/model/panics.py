"""A kernel that gives up: where its panic function is, and what it was called with.

Rust's `#[panic_handler]` gets a `&core::panic::PanicInfo`, whose location is a file, a line and a
column; a kernel in C calls a function with a text. The calling convention puts either into a0.
"""

from rcdbg.errors import RcdbgError
from rcdbg.image.elf import Image
from rcdbg.image.types import BaseType, PointerType
from rcdbg.kernels.description import RUSTS_PANIC, Description
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.containers import base_name, dig
from rcdbg.model.values.contents import is_slice, slice_span
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value
from rcdbg.riscv.registers import unsigned

_A0 = 10
_MOST = 200


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


def _why(kernel: Kernel, entry: int) -> str:
    function = kernel.image.functions.at(entry)
    if function is None or not function.parameters:
        return ""
    types = kernel.image.types
    kind = types.type(function.parameters[0][1])
    if not isinstance(kind, PointerType):
        return ""
    argument = unsigned(kernel.registers.x[_A0])
    target = types.type(kind.target)
    if isinstance(target, BaseType) and target.size == 1:
        return f": {_c_text(kernel, argument)}"
    if base_name(target) != "PanicInfo":
        return ""
    return _at(dig(Value(kernel.space, kind.target, argument, "the panic"), "location"))


def _at(pointer: Value) -> str:
    kind = pointer.type
    if not isinstance(kind, PointerType):
        return ""
    location = pointer.at(kind.target, pointer.scalar(), pointer.path)
    file = next(filter(None, map(_text, location.fields())), "")
    numbers = [location[name].scalar() for name in ("line", "col") if location.has(name)]
    return "" if not file else " at " + ":".join([file, *map(str, numbers)])


def _text(value: Value) -> str:
    """What a `&str` says, or a raw pointer to a `str` in wrappers; empty of anything else."""
    for _ in range(MAX_DEPTH):
        if is_slice(value):
            span = slice_span(value)
            return value.read(span.address, min(span.length, _MOST)).decode("utf-8", "replace")
        fields = value.fields()
        if len(fields) != 1:
            return ""
        value = fields[0]
    return ""


def _c_text(kernel: Kernel, address: int) -> str:
    data = kernel.memory.read(address, _MOST)
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
