"""Code that a reader can hold: how long a module, a function, a class and a folder may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lint import sources
from tests.lint.sources import ROOT, named, text, tree, walked

FOLDERS = ("rcdbg", "gdbscripts", "tools", "tests")
MAX_LINES, MAX_FUNCTION_LINES, MAX_METHODS, MAX_MODULES = 400, 60, 20, 16

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> tuple[Path, ...]:
    return sources.modules(*FOLDERS)


def too_large(source: str | Path) -> Iterator[str]:
    """What of a module is longer than it may be."""
    lines = (text(source) if isinstance(source, Path) else source).count("\n")
    if lines > MAX_LINES:
        yield f"{lines} lines"
    for node in walked(source):
        if isinstance(node, Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.name}: {length} lines"
        elif isinstance(node, ast.ClassDef):
            methods = sum(isinstance(child, Function) for child in node.body)
            if methods > MAX_METHODS:
                yield f"class {node.name}: {methods} methods"


def test_modules_functions_and_classes() -> None:
    found = [f"{named(path)}: {what}" for path in modules() for what in too_large(path)]
    assert not found, "\n".join(found)


def test_folders() -> None:
    counts: dict[Path, int] = {}
    for path in modules():
        # What a package's __init__ holds is the line that says what the others are.
        is_package = path.name == "__init__.py"
        if path.relative_to(ROOT).parts[0] in ("rcdbg", "gdbscripts") and not is_package:
            counts[path.parent] = counts.get(path.parent, 0) + 1
    found = [
        f"{named(path)}: {count} modules" for path, count in counts.items() if count > MAX_MODULES
    ]
    assert not found, "\n".join(found)


def test_the_places_are_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in FOLDERS)
    assert len(modules()) > 300


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n" * MAX_LINES, []),
        ("x = 1\n" * (MAX_LINES + 1), ["401 lines"]),
        ("def f():\n" + "    x = 1\n" * (MAX_FUNCTION_LINES - 1), []),
        ("async def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES, ["f: 61 lines"]),
        ("class A:\n" + "    def f(self): ...\n" * MAX_METHODS, []),
        ("class A:\n" + "    def f(self): ...\n" * 21, ["class A: 21 methods"]),
    ],
)
def test_what_is_too_large_is_found(source: str, said: list[str]) -> None:
    assert list(too_large(source)) == said


def test_one_name_one_class() -> None:
    """Two public classes of one name in different layers are taken for each other."""
    places: dict[str, list[str]] = {}
    for path in modules():
        if path.parts[len(ROOT.parts)] in ("rcdbg", "gdbscripts"):
            for node in tree(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(named(path))
    found = [f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1]
    assert not found, "\n".join(found)
