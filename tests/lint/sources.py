"""Our sources as the lint tests read them: each file is read and parsed once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def modules(*folders: str) -> tuple[Path, ...]:
    """All Python files below these folders, in order."""
    return tuple(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def text(path: Path) -> str:
    """What stands in it."""
    return path.read_text("utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """The same, parsed."""
    return ast.parse(text(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of its nodes, breadth first."""
    return tuple(ast.walk(tree(path)))


def named(path: Path) -> str:
    """Its name below the project's folder."""
    return str(path.relative_to(ROOT))


def walked(source: str | Path) -> Iterator[ast.AST]:
    """The nodes of one of our files, or of a text that a test makes up."""
    yield from nodes(source) if isinstance(source, Path) else ast.walk(ast.parse(source))
