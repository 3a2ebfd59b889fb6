"""Only riscv/paging.py knows where satp's fields lie: everywhere else a Satp is asked."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lint.sources import ROOT, modules, named, walked

HERE = ROOT / "rcdbg" / "riscv" / "paging.py"
FOLDERS = ("rcdbg", "gdbscripts", "tools")
SHIFTS = {44, 60}
"""Where ASID and MODE begin."""
MODES = {mode << 60 for mode in (9, 10, 11, 15)}
"""Not 8: bit 63 alone means other things elsewhere."""
PPN = (1 << 44) - 1
BITWISE = (ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr)


def constant(node: ast.expr) -> int | None:
    """The value of an expression of numbers alone."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.BinOp):
        left, right = constant(node.left), constant(node.right)
        if left is None or right is None or not 0 <= right < 1 << 12:
            return None
        match node.op:
            case ast.LShift():
                return left << right
            case ast.Sub():
                return left - right
            case ast.BitOr():
                return left | right
    return None


def arithmetic(source: str | Path) -> Iterator[str]:
    """What takes a satp apart, or puts one together, by shifts and masks."""
    for node in walked(source):
        if not isinstance(node, ast.BinOp):
            continue
        shifts = isinstance(node.op, ast.LShift | ast.RShift) and constant(node.right) in SHIFTS
        masks = any(constant(side) in MODES | {PPN} for side in (node, node.left, node.right))
        of_satp = isinstance(node.op, BITWISE) and any(
            (isinstance(side, ast.Name) and "satp" in side.id.lower())
            or (isinstance(side, ast.Attribute) and "satp" in side.attr.lower())
            for side in (node.left, node.right)
        )
        if shifts or masks or of_satp:
            yield ast.unparse(node)


@pytest.mark.parametrize(
    "wrong",
    [
        "mode = value >> 60",
        "asid = value >> 44 & 0xffff",
        "ppn = value & (1 << 44) - 1",
        "PPN = (1 << 44) - 1",
        "satp = 8 << 60 | root",
        "value & 0xF000000000000000",
        "root = satp & MASK",
        "mode = kernel.memory.satp >> SHIFT",
    ],
)
def test_it_is_found(wrong: str) -> None:
    assert list(arithmetic(wrong))


def test_other_arithmetic_is_not() -> None:
    assert not list(
        arithmetic("x = page << 12 | offset & 4095; limit = 1 << 40; y = satp.ppn << 12")
    )
    assert list(arithmetic(HERE)) == [], "where they are data, not arithmetic"


def test_nobody_takes_satp_apart() -> None:
    files = modules(*FOLDERS)
    assert len(files) > 100
    found = [
        f"{named(path)}: {text}" for path in files if path != HERE for text in arithmetic(path)
    ]
    assert found == []
