"""Paths of descriptions: their own steps, beside those that a user types for `print`."""

import pytest

from rcdbg.errors import UsageError
from rcdbg.kernels.paths import (
    Deref,
    Each,
    Field,
    Find,
    Index,
    parse,
    parse_relative,
    parse_rooted,
)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (".", ()),
        ("inner.context", (Field("inner"), Field("context"))),
        ("..stack.start", (Find("stack"), Field("start"))),
        ("inner..id", (Field("inner"), Find("id"))),
        ("0.1", (Field("__0"), Field("__1"))),
        ("[*]", (Each(),)),
        ("tasks[*].inner", (Field("tasks"), Each(), Field("inner"))),
        ("*trapframe", (Field("trapframe"), Deref())),
        ("levels[2]", (Field("levels"), Index(2))),
    ],
)
def test_from_a_value(text: str, steps: tuple[object, ...]) -> None:
    path = parse_relative(text)
    assert (path.static, path.steps) == ("", steps)


def test_from_a_static() -> None:
    path = parse_rooted("mm::SPACES[*].table")
    assert (path.static, path.steps) == ("mm::SPACES", (Each(), Field("table")))
    assert str(path) == "mm::SPACES[*].table"


@pytest.mark.parametrize("text", ["", "a..", "a[*", "a b", "a::b", "..", "*", "a[**]"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no path from a value"):
        parse_relative(text)


@pytest.mark.parametrize("text", ["PROCESSOR[*]", "PROCESSOR..id"])
def test_what_a_user_types_means_one_value(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)
