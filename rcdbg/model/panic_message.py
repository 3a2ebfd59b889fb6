"""The text of a `core::fmt::Arguments`, as far as it can be told without running its formatters.

Source of the format: Rust's library/core/src/fmt/mod.rs and rt.rs. Until 1.92 there are pieces and
arguments; since then a template of bytes (a length and so much text; 0x80, a length of two bytes
and text; 0xc0 with flags for what follows: a placeholder; 0: the end), or, where the lowest bit of
`args` is set, a plain text of half that length.
"""

import re

from rcdbg.errors import MemoryReadError
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.contents import is_slice, slice_span
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value

UNKNOWN = "…"
"""Stands for an argument whose formatter is one of the kernel's own."""
MAX_TEXT = 400
_MAX_PIECES = 64
_WORD = 8
_LONG, _PLACEHOLDER = 0x80, 0xC0
_EXTRAS = ((1, 4), (2, 2), (4, 2), (8, 2))
"""Flags of a placeholder, and how many bytes each says follow: options, width, precision, index."""
_OPTIONS, _INDEX = 1, 8
_ALTERNATE = 1 << 23
_ERRORS = {
    "core::cell::BorrowMutError as core::fmt": "RefCell already borrowed",
    "core::cell::BorrowError as core::fmt": "RefCell already mutably borrowed",
}
"""Errors without a value, and what Rust's library prints for them."""
_FORMATTER = re.compile(
    r"<(?P<references>&*)(?P<type>str|[iu](?:8|16|32|64|128|size)) as core::fmt::(?:num::)?"
    r"(?P<how>Display|Debug|LowerHex)>::fmt"
)


def message_text(kernel: Kernel, arguments: Value) -> str:
    """What a panic would print, `…` for what only its formatter knows; raises DecodeError."""
    try:
        if arguments.has("template"):
            return _of_template(kernel, arguments)[:MAX_TEXT]
        if arguments.has("pieces"):
            return _of_pieces(kernel, arguments)[:MAX_TEXT]
    except MemoryReadError as error:
        raise DecodeError(arguments.path, str(error)) from error
    raise DecodeError(arguments.path, "its format is not known")


def text_of(value: Value) -> str:
    """What a `&str` says, or a pointer to a `str` in wrappers; empty of anything else."""
    for _ in range(MAX_DEPTH):
        if is_slice(value):
            span = slice_span(value)
            return value.read(span.address, min(span.length, MAX_TEXT)).decode("utf-8", "replace")
        fields = value.fields()
        if len(fields) != 1:
            return ""
        value = fields[0]
    return ""


def _of_template(kernel: Kernel, arguments: Value) -> str:
    read = kernel.own_memory.read
    at, args = (
        int.from_bytes(read(arguments[name].address, _WORD), "little")
        for name in ("template", "args")
    )
    if args & 1:
        return read(at, min(args >> 1, MAX_TEXT)).decode("utf-8", "replace")
    parts: list[str] = []
    position = 0
    for _ in range(_MAX_PIECES):
        kind, at = read(at, 1)[0], at + 1
        if not kind:
            break
        if kind < _PLACEHOLDER:
            size = kind
            if kind >= _LONG:
                size, at = int.from_bytes(read(at, 2), "little"), at + 2
            parts.append(read(at, min(size, MAX_TEXT)).decode("utf-8", "replace"))
            at += size
            continue
        options = 0
        for flag, size in _EXTRAS:
            if kind & flag:
                extra, at = int.from_bytes(read(at, size), "little"), at + size
                options = extra if flag == _OPTIONS else options
                position = extra if flag == _INDEX else position
        parts.append(_argument(kernel, args + 2 * _WORD * position, options))
        position += 1
    return "".join(parts)


def _of_pieces(kernel: Kernel, arguments: Value) -> str:
    pieces, given = slice_span(arguments["pieces"]), slice_span(arguments["args"])
    parts: list[str] = []
    for number in range(min(pieces.length, _MAX_PIECES)):
        place = pieces.address + 2 * _WORD * number
        parts.append(text_of(arguments.at(pieces.element, place, arguments.path)))
        if number < given.length:
            parts.append(_argument(kernel, given.address + 2 * _WORD * number, 0))
    return "".join(parts)


def _argument(kernel: Kernel, address: int, options: int) -> str:
    """An argument: a pointer to a value, and the function that formats it."""
    read = kernel.own_memory.read
    value, function = _words(read(address, 2 * _WORD))
    found = kernel.image.symbols.at(function)
    if found is not None:
        for error, words in _ERRORS.items():
            if error in found[0]:
                return words
    formatter = _FORMATTER.match(found[0]) if found is not None else None
    if formatter is None:
        return UNKNOWN
    kind, references = formatter["type"], len(formatter["references"])
    if kind == "str" and not references:
        return UNKNOWN  # its length is in a pointer of two words, of which there is only one
    for _ in range(references - (kind == "str")):
        value = _words(read(value, _WORD))[0]
    if kind == "str":
        start, length = _words(read(value, 2 * _WORD))
        text = read(start, min(length, MAX_TEXT)).decode("utf-8", "replace")
        return text if formatter["how"] == "Display" else f'"{text}"'
    size = _WORD if kind.endswith("size") else int(kind[1:]) // 8
    number = int.from_bytes(read(value, size), "little", signed=kind[0] == "i")
    if formatter["how"] == "LowerHex":
        return f"{number:#x}" if options & _ALTERNATE else f"{number:x}"
    return str(number)


def _words(data: bytes) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(data[at : at + _WORD], "little") for at in range(0, len(data), _WORD)
    )
