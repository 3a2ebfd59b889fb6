"""A value of the kernel as a tree: one line a field, small structs and lists of numbers inline."""

import itertools
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from rich.console import Console, Group, RenderableType
from rich.text import Text

from rcdbg.model.values.inspect import Node
from rcdbg.model.values.printed import Statics
from rcdbg.model.values.statics import NamedStatic
from rcdbg.views import palette
from rcdbg.views.common import address, count, guest, problem_line, short_path, size, styled
from rcdbg.views.layout import Column, Fitted, Row, listing

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_PRIMITIVE = re.compile(r"[iu](8|16|32|64|128|size)")
_MAX_INLINE = 68
_LEAST = 16
"""Columns that are left for what stands behind the guides."""

_HEX_FROM = 1 << 31
"""From here on a number is more likely an address or a mask than a count."""

_PATH = re.compile(r"(?:\w+::)+")
_ALLOCATOR = re.compile(r", (?:&?(?:alloc::alloc::|hashbrown::raw::alloc::inner::)?Global)(?=[,>])")
_LOUD = ("locked", "being", "its init", "borrowed", "of a type", "what it", "null")


def view(node: Node) -> RenderableType:
    """The tree of a value."""
    return Fitted(lambda width: Group(*(_fold(line, width) for line in _lines(node))))


def short_type(name: str) -> str:
    """A type without the paths of its modules, and without the allocator that all share.

    >>> short_type("alloc::vec::Vec<os::process::Thread, alloc::alloc::Global>")
    'Vec<Thread>'
    """
    return _PATH.sub("", _ALLOCATOR.sub("", name))


def statics_view(found: Statics) -> RenderableType:
    """All statics: name, type, size, where they are declared."""

    def build(width: int) -> RenderableType:
        columns = [Column("static"), Column("address"), Column("declared"), Column("type")]
        rows = [
            Row(
                (
                    guest(one.name, palette.SYMBOL),
                    address(one.static.address),
                    _declared(one),
                    guest(short_type(found.type_names[one.static.type])),
                )
            )
            for one in found.known
        ]
        return listing(columns, rows, width)

    return Fitted(build)


def _declared(one: NamedStatic) -> Text:
    if not one.static.file:
        return Text()
    line = f":{one.static.line}" if one.static.line else ""
    name = PurePosixPath(short_path(one.static.file)).name
    return guest(name + line, palette.SOURCE)


def _lines(node: Node, first: str = "", rest: str = "") -> Iterator[tuple[Text, str]]:
    """Each line with what stands at the start of those that continue it."""
    inline = _inline(node) if node.children else None
    head = styled(first, palette.QUIET).append_text(_head(node))
    if inline is not None and node.children:
        if not head.plain.endswith(" ") and not (node.kind == "enum" and inline.plain[0] == "("):
            head.append(" ")
        head.append_text(inline)
    yield head, rest
    below: list[Node] = [] if inline is not None else list(node.children)
    extra = [problem_line(problem) for problem in node.problems]
    if node.more > 0 and node.kind not in ("text", "bytes") and inline is None and below:
        extra.insert(0, styled(f"… {node.more:,} more", palette.QUIET))
    last = len(below) + len(extra) - 1
    for position, child in enumerate(below):
        is_last = position == last
        yield from _lines(
            child, rest + ("└ " if is_last else "├ "), rest + ("  " if is_last else "│ ")
        )
    for position, line in enumerate(extra, len(below)):
        mark = "└ " if position == last else "├ "
        yield styled(rest + mark, palette.QUIET).append_text(line), rest + "  "


def _fold(line: tuple[Text, str], width: int) -> Text:
    """A line and its continuations, which keep the tree's guides."""
    text, rest = line
    if text.cell_len <= width:
        return text
    body = text[len(rest) :]
    kept = max(0, min(len(rest), width - _LEAST))
    first, rest = text[len(rest) - kept : len(rest)], rest[len(rest) - kept :]
    room = width - kept - 2
    # Text.wrap asks a console for nothing but its tab size.
    pieces = body.wrap(Console(width=width, height=1), room, overflow="fold")
    guide = styled(rest + "  ", palette.QUIET)
    lines = [(guide if number else first) + piece for number, piece in enumerate(pieces)]
    return Text("\n").join(lines)


def _head(node: Node) -> Text:
    """Name, what wraps it, its type or value, notes, address."""
    text = guest(node.name, palette.LABEL).append(": ", palette.QUIET)
    for wrapper in node.wrappers:
        if wrapper not in ("Some", "None"):
            text.append_text(guest(wrapper, palette.QUIET)).append(" › ", palette.QUIET)
    text.append_text(_body(node))
    loud = [n for n in node.notes if n.startswith(_LOUD)]
    quiet = [n for n in node.notes if n not in loud]
    shown = node.kind in ("nothing", "elided")
    for note in [] if shown else loud:
        text.append("  ").append(note, palette.WARNING)
    for note in [] if shown else quiet:
        text.append("  ").append_text(guest(note, palette.NOTE))
    has_place = node.children or node.kind in ("struct", "list", "map", "set", "elided")
    if has_place and _inline(node) is None and node.address:
        text.append("  ").append_text(address(node.address))
    return text


def _body(node: Node) -> Text:
    name = guest(short_type(node.type), palette.HEADING)
    match node.kind:
        case "text":
            return _text(node)
        case "bytes":
            return _bytes(node)
        case "struct" | "tuple" | "range" | "union":
            return Text("") if node.type.startswith("(") or node.kind == "range" else name
        case "enum":
            owner = short_type(node.type).split("<")[0]
            prefix = "" if owner == "Result" else f"{owner}::"
            return guest(prefix, palette.QUIET).append_text(guest(node.label, palette.HEADING))
        case "list" | "set" | "map":
            if node.type.startswith("["):
                return guest(short_type(node.type))
            held = count(node.length or 0, "element" if node.kind != "map" else "entry")
            return guest(short_type(node.type).split("<")[0]).append(
                f"  {held.replace('entrys', 'entries')}", palette.QUIET
            )
        case "nothing":
            text = Text(_nothing(node))
            text.stylize(palette.WARNING if node.notes[-1].startswith(_LOUD) else palette.NOTE)
            return text
        case "elided":
            return name.append(f" … {'; '.join(node.notes)}", palette.NOTE)
        case "unit":
            return guest(short_type(node.type))
        case "unknown":
            return guest(short_type(node.type), palette.QUIET)
        case _:
            return scalar(node)


def _nothing(node: Node) -> str:
    """What is not there: `None`, which inside of a Some is another value than by itself."""
    said = "; ".join(node.notes)
    *outer, last = node.wrappers or ("",)
    if last != "None":
        return said
    inside = len(outer) - len([*itertools.dropwhile(lambda name: name == "Some", outer[::-1])])
    return "Some(" * inside + said + ")" * inside


def scalar(node: Node) -> Text:
    """A number, bool, char, pointer or variant, with what it is beside what it is written as."""
    held = node.value
    match node.kind:
        case "bool":
            return Text("true" if held else "false")
        case "char":
            return guest(repr(held))
        case "variant":
            return guest(node.label, palette.HEADING)
        case "pointer" if not held:
            text = styled("null", palette.WARNING)
            return text.append(f", length {node.length:,}", palette.QUIET) if node.length else text
        case "pointer":
            text = address(held if isinstance(held, int) else 0)
            return _with_symbol(text, node.label)
        case "flags":
            number = held if isinstance(held, int) else 0
            bits = " ".join(str(bit) for bit in range(number.bit_length()) if number >> bit & 1)
            text = guest(f"{short_type(node.type)} ", palette.QUIET).append(f"{number:#x}")
            return text.append(f" bits {bits}" if bits else " no bit", palette.QUIET)
        case "integer" if isinstance(held, int):
            text = _newtype(node).append_text(_integer(held, node.type))
            return _with_symbol(text, node.label)
    return guest(str(held))


def _newtype(node: Node) -> Text:
    """The name of a number's type, unless it is one of Rust's own."""
    name = short_type(node.type)
    library = _PRIMITIVE.fullmatch(name) or name.startswith(("Atomic", "Cell", "UnsafeCell"))
    return Text() if library else guest(f"{name} ", palette.QUIET)


def _integer(number: int, type_name: str) -> Text:
    hexadecimal = f"{number:#x}"
    if number >= _HEX_FROM or (number >= 0 and "Address" in type_name):
        return Text(hexadecimal)
    text = Text(str(number))
    return text.append(f" {hexadecimal}", palette.QUIET) if number > 9 else text


def _with_symbol(text: Text, label: str) -> Text:
    return text.append(" ").append_text(guest(f"<{label}>", palette.SYMBOL)) if label else text


def _text(node: Node) -> Text:
    text = guest(f'"{_escaped(str(node.value))}"', palette.GOOD)
    return text.append(f" … {size(node.more)} more", palette.QUIET) if node.more > 0 else text


def _escaped(text: str) -> str:
    for plain, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(plain, written)
    # What is no UTF-8 stands in a Node as a lone surrogate.
    return _NOT_UTF8.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)


def _bytes(node: Node) -> Text:
    text = styled(f"{size(node.length or 0)} ", palette.QUIET)
    if node.label:
        return text.append_text(guest(f'b"{_escaped(node.label)}"', palette.GOOD))
    text.append(str(node.value or ""))
    return text.append(" …", palette.QUIET) if node.more > 0 else text


def _inline(node: Node) -> Text | None:
    """The children on the line of their parent, where they are few, plain and short."""
    children = node.children
    if node.problems or not children or not all(_is_plain(child) for child in children):
        return None
    if node.kind == "range" and len(children) == 2:
        return _short(children[0]).append("..", palette.QUIET).append_text(_short(children[1]))
    if node.kind in ("list", "set"):
        if any(c.kind not in ("integer", "bool", "char", "float", "variant") for c in children):
            return None
        parts = [_short(c) for c in children]
        opening, closing = "[", "]" if node.more <= 0 else f", … {node.more:,} more]"
    elif node.kind in ("struct", "tuple", "enum"):
        if len(children) > 4:
            return None
        named = not all(c.name.isdigit() for c in children)
        parts = [
            guest(f"{c.name}: " if named else "", palette.LABEL).append_text(_short(c))
            for c in children
        ]
        opening, closing = ("{ ", " }") if named else ("(", ")")
    else:
        return None
    text = styled(opening, palette.QUIET)
    text.append_text(styled(", ", palette.QUIET).join(parts)).append(closing, palette.QUIET)
    limit = _MAX_INLINE if node.kind not in ("list", "set") else 4 * _MAX_INLINE
    return text if text.cell_len <= limit else None


def _is_plain(node: Node) -> bool:
    """Whether it can stand among others on one line."""
    if node.children or node.problems or node.notes:
        return False
    is_long = node.kind in ("text", "bytes", "elided", "unknown") and len(str(node.value)) > 24
    return not is_long


def _short(node: Node) -> Text:
    if node.kind == "integer" and isinstance(node.value, int):
        is_address = node.value >= _HEX_FROM or (node.value > 0 and "Address" in node.type)
        return Text(f"{node.value:#x}" if is_address else str(node.value))
    return _body(node)
