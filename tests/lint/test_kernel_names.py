"""No name of a kernel stands outside `rcdbg/kernels/`: it would be a second description.

The names are those of the shipped descriptions. Some are also words of ours ("stack", "Context"),
so what counts is how a literal is used: to look something up in a kernel, or, where the name is
nobody's word but the kernel's, at all.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.lint.sources import ROOT, modules, named, nodes, walked

FAMILIES = ROOT / "rcdbg" / "kernels" / "families"

LOOK_UPS = frozenset({
    "has", "dig", "member", "symbol", "address_of", "resolve", "struct_named", "struct_with",
    "types_named", "static_named", "static_holding", "find_static", "functions_named",
    "parse_relative", "parse_rooted", "Names", "find_struct",
})  # fmt: skip
"""Functions and methods that are given a kernel's name to find something by."""

DECODING = ("rcdbg/model", "rcdbg/trace/observers", "gdbscripts")
"""Where `value["name"]` is a field of the kernel's, and a type's name is compared with one."""
NOT_DECODING = ("rcdbg/model/serial", "gdbscripts/commands")
"""Parts of these that make documents."""

OF_RUST = frozenset({
    "start", "end", "inner", "state", "next", "name", "parent", "map", "ptr", "size",
})  # fmt: skip
"""Fields of Rust's library, too: of Range, of locks and cells, of lists and sets, of Arc."""
OURS_TOO = frozenset({"total_bytes"})
"""What our documents call a thing, too."""
OF_THE_MACHINE = frozenset({"sp", "ra", "satp"})
"""Registers, whatever kernel saves them under these names."""
READ_RUST = ("rcdbg/model/values", "rcdbg/model/library", "gdbscripts/values")
"""What reads the library's types."""

OF_CRATES = frozenset({"bits", "capacity", "free"})
"""Fields of heaps that are crates."""
READ_CRATES = ("rcdbg/model/heaps",)

_WORD = re.compile(r"[A-Za-z_]\w*")
_A_NAME = re.compile(r"[\w:.*\[\]]+")
_OF_CODE = re.compile(r"_|[a-z][A-Z]|^[A-Z]+$")


def kernel_names() -> frozenset[str]:
    """The words of all descriptions: types, fields, statics, functions, symbols, variants."""
    found: set[str] = set()
    for file in FAMILIES.glob("*.toml"):
        for concept, table in tomllib.loads(file.read_text()).items():
            for entry in table.values() if isinstance(table, dict) else ():
                for text in entry if isinstance(entry, list) else [entry]:
                    if isinstance(text, str) and concept != "evidence":
                        found.update(_WORD.findall(text))
    return frozenset(found)


def sources() -> dict[str, Path]:
    """All our modules, but for the descriptions."""
    found = {named(path): path for path in modules("rcdbg", "gdbscripts")}
    return {name: path for name, path in found.items() if not name.startswith("rcdbg/kernels/")}


def own_words() -> frozenset[str]:
    """What we call our own things: classes, fields, functions and modules."""
    found = {part for name in SOURCES for part in Path(name).with_suffix("").parts}
    for path in (*SOURCES.values(), *(ROOT / "rcdbg" / "kernels").glob("*.py")):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                found.add(node.name)
                found.update(
                    field.target.id
                    for field in node.body
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                )
    return frozenset(found)


NAMES = kernel_names() - OF_THE_MACHINE
SOURCES = sources()


@cache
def kernels_alone() -> frozenset[str]:
    """Names that are no words of ours: nobody has a reason to write them."""
    return frozenset(name for name in NAMES - OURS_TOO - own_words() if _OF_CODE.search(name))


def faults(path: str, source: str | Path) -> Iterator[str]:
    """Each literal that names something of a kernel, with its line."""
    all_nodes = tuple(walked(source))
    prose = set(_prose(all_nodes))
    for node in all_nodes:
        for literal in _looked_up(node, path):
            named = set(_WORD.findall(str(literal.value))) & NAMES
            if path.startswith(READ_RUST):
                named -= OF_RUST
            if path.startswith(READ_CRATES):
                named -= OF_RUST | OF_CRATES
            if named:
                yield f"{path}:{literal.lineno}: looks for {literal.value!r}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            words = set(_WORD.findall(node.value)) & kernels_alone()
            if words and _A_NAME.fullmatch(node.value):
                yield f"{path}:{node.lineno}: names {node.value!r}"


def _prose(all_nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Docstrings, those of fields too."""
    for node in all_nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield from (one.value for one in node.body if isinstance(one, ast.Expr))


def _looked_up(node: ast.AST, path: str) -> Iterator[ast.Constant]:
    """The texts by which something is looked for in a kernel."""
    decodes = path.startswith(DECODING) and not path.startswith(NOT_DECODING)
    if isinstance(node, ast.Call):
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else None
        name = function.id if isinstance(function, ast.Name) else name
        if name in LOOK_UPS:
            yield from _texts(*node.args)
    elif decodes and isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Constant):
            yield from _texts(node.slice)
    elif decodes and isinstance(node, ast.Compare) and "name" in ast.unparse(node).lower():
        yield from _texts(node.left, *node.comparators)


def _texts(*nodes: ast.AST) -> Iterator[ast.Constant]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            yield from _texts(*node.elts)


def test_there_are_names_to_look_for() -> None:
    assert {"Processor", "current_thread", "__interrupt", "id", "TICKS"} <= NAMES
    assert {"__interrupt", "handle_interrupt", "mapped_pairs", "VirtualAddress"} <= kernels_alone()


@pytest.mark.parametrize("path", sorted(SOURCES))
def test_no_kernel_is_named_here(path: str) -> None:
    assert list(faults(path, SOURCES[path])) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("rcdbg/model/threads/processor.py", 'value["is_user"].scalar()'),
        ("rcdbg/model/threads/processor.py", 'dig(thread, "stack")'),
        ("rcdbg/model/memory/frames.py", 'books["leaf_count"]'),
        ("rcdbg/model/memory/frames.py", 'owner.has("allocator")'),
        ("rcdbg/model/threads/thread.py", 'base_name(kind) == "Thread"'),
        ("rcdbg/model/threads/thread.py", 'kernel.struct_named("Process", ("inner",))'),
        ("rcdbg/trace/observers/call.py", 'start, end = dig(value, "start"), dig(value, "end")'),
        ("rcdbg/cli/options.py", 'FIRST_STOP = "handle_interrupt"'),
        ("rcdbg/trace/run.py", 'image.symbols.address_of("__restore")'),
        ("rcdbg/tui/live/session.py", 'symbol = "os::process::Processor::wake_thread"'),
        ("gdbscripts/values/functions.py", 'static.path.rsplit("::", 1)[-1] == "TICKS"'),
        ("gdbscripts/values/printers.py", 'value["sepc"]'),
    ],
)
def test_the_ways_to_name_one_are_seen(path: str, line: str) -> None:
    """All of these stood in rcdbg once, or could."""
    assert list(faults(path, line))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("rcdbg/model/serial/state.py", 'document["id"]'),
        ("rcdbg/views/threads/threads.py", 'text = "no Context"'),
        ("rcdbg/model/state.py", 'def f():\n    """Like `handle_interrupt`."""'),
        ("rcdbg/model/values/inspect.py", 'value.has("start")'),
        ("rcdbg/trace/kinds.py", 'Field("root_ppn")'),
    ],
)
def test_words_of_ours_are_none(path: str, line: str) -> None:
    assert list(faults(path, line)) == []
