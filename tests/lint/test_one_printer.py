"""Views go through rich, of which the guest's text is escaped; all else through `cli.door`."""

import ast

from rcdbg.cli import door
from tests.lint.sources import modules, named, nodes


def test_nothing_else_prints() -> None:
    found = [
        f"{named(path)}:{node.lineno}"
        for path in modules("rcdbg", "gdbscripts")
        if str(path) != door.__file__
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert found == []
