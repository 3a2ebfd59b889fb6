"""Options are declared once: the command line, gdb's prompt, help and completion agree on them."""

import argparse
import re

import pytest

from rcdbg import words
from rcdbg.errors import UsageError
from rcdbg.words import Given, Option

OPTIONS = (
    Option("--lint", "what is odd"),
    Option("--root", "a table", "PPN"),
    Option("--depth", "levels", "N", number=(0, 32)),
    Option("--hit", "a function", "SYMBOL", also=("-f",), repeated=True, offers="symbol"),
)
LINES = [
    ([], {}),
    (["--lint"], {"--lint": ("",)}),
    (["--root", "0x80"], {"--root": ("0x80",)}),
    (["--root=0x80", "--lint"], {"--root": ("0x80",), "--lint": ("",)}),
    (["--hit", "a", "-f", "b"], {"--hit": ("a", "b")}),
    (["--depth", "0x10"], {"--depth": ("0x10",)}),
]


@pytest.mark.parametrize(("typed", "expected"), LINES)
def test_both_parsers_find_the_same(typed: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    parser = argparse.ArgumentParser()
    words.add_to(parser, OPTIONS)
    assert words.given(parser.parse_args(typed), OPTIONS).values == expected
    assert words.take("rc x", OPTIONS, typed) == (Given(expected), ())


def test_what_is_no_option_is_left_an_expression() -> None:
    given, rest = words.take("rc x", OPTIONS, ["$sp", "--root", "1", "-", "8", "-x"])
    assert rest == ("$sp", "-", "8", "-x")
    assert given.text("--root") == "1"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--nonsense"], "rc x has no option --nonsense"),
        (["--root"], "--root wants a value: --root PPN"),
        (["--root", "--lint"], "--root wants a value: --root PPN"),
        (["--lint=1"], "--lint takes no value"),
        (["--depth", "x"], "--depth wants a number, not 'x'"),
        (["--depth", "33"], "--depth 33: from 0 to 32"),
        (["--depth", "-1"], "--depth -1: from 0 to 32"),
    ],
)
def test_what_is_wrong_is_said(typed: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        words.take("rc x", OPTIONS, typed)


def test_a_number_is_checked_on_the_command_line_too() -> None:
    parser = argparse.ArgumentParser()
    words.add_to(parser, OPTIONS)
    with pytest.raises(UsageError, match="from 0 to 32"):
        words.given(parser.parse_args(["--depth", "33"]), OPTIONS)


def test_given_gives_the_last_value_and_all_of_them() -> None:
    given, _ = words.take("rc x", OPTIONS, ["--hit", "a", "--hit", "b", "--depth", "3"])
    assert given.text("--hit") == "b"
    assert given.texts("--hit") == ("a", "b")
    assert given.number("--depth") == 3
    assert given.text("--root") is None
    assert given.number("--root") is None
    assert given.among(("--root", "--depth", "--hit")) == ["--depth", "--hit"]
    assert "--lint" not in given
    assert not Given()


def complete(before: list[str], typed: str) -> list[str] | None:
    known = {"symbol": ["main", "map_one"]}
    return words.complete(OPTIONS, before, typed, lambda what, _: known.get(what, []))


def test_completion() -> None:
    assert complete([], "--") == ["--lint", "--root", "--depth", "--hit"]
    assert complete([], "--r") == ["--root"]
    assert complete(["--lint"], "--l") == [], "it is there already"
    assert complete(["--hit", "main"], "--h") == ["--hit"], "it may be given again"
    assert complete(["--hit"], "ma") == ["main", "map_one"]
    assert complete(["-f"], "map") == ["map_one"]
    assert complete(["--root"], "") == [], "any value, but none that is known"
    assert complete(["--lint"], "") is None, "no option, nor the value of one"


def test_help_has_a_line_for_each() -> None:
    assert re.fullmatch(r"  --root PPN +a table", words.lines(OPTIONS).splitlines()[1])
    assert words.lines(OPTIONS).splitlines()[3].startswith("  -f, --hit SYMBOL  ")
    assert words.lines(()) == ""
