"""The table of keys: what is made of it, and that nothing in it leads nowhere."""

import re
from typing import Final

import pytest

from rcdbg.tui.course import GuestCourse
from rcdbg.tui.deeds import Deeds
from rcdbg.tui.keys import KEYS, MOVES, TYPED_MOVES, Key, Place, bindings, pressed
from rcdbg.tui.session import Move
from rcdbg.tui.widgets.bars import KeyBar
from rcdbg.tui.widgets.desk import Desk
from rcdbg.tui.widgets.panels import CommandLine, LinePanel
from rcdbg.tui.widgets.prompts import AskSymbol, Help, help_text
from tools.refresh_docs import ROOT, with_keys

WHERE: Final[dict[Place, type]] = {
    "anywhere": Deeds,
    "panels": Desk,
    "text": LinePanel,
    "line": CommandLine,
    "question": AskSymbol,
    "help": Help,
}


def method_of(key: Key) -> str:
    """The method that a row names, without its arguments."""
    name = re.sub(r"\(.*\)", "", str(key.does))
    return name if key.place == "anywhere" else f"action_{name}"


@pytest.mark.parametrize("key", [key for key in KEYS if key.does], ids=lambda key: key.action)
def test_there_is_what_a_key_does(key: Key) -> None:
    if not isinstance(key.does, Move):
        assert callable(getattr(WHERE[key.place], method_of(key)))


def test_no_key_does_two_things_in_one_place() -> None:
    pressed_keys = [(key.place, name) for key in KEYS if key.does for name in key.keys.split()]
    assert len(pressed_keys) == len(set(pressed_keys))


def test_each_way_of_running_has_one_key() -> None:
    assert sorted(MOVES.values()) == sorted(Move)
    assert all(pressed(keys).does is move for keys, move in MOVES.items())
    # As the gdb manual names them: "Continuing and Stepping".
    assert TYPED_MOVES["step"] is TYPED_MOVES["s"] is Move.STEP_LINE
    assert TYPED_MOVES["fin"] is Move.FINISH
    assert "t" not in TYPED_MOVES, "gdb has no such command: `t` is `thread` there"


def test_every_row_is_bound_or_left_to_textual() -> None:
    bound = sum(len(bindings(place)) for place in WHERE)
    assert bound == len([key for key in KEYS if key.does])


def test_every_key_with_words_is_in_the_help() -> None:
    lines = help_text().plain.splitlines()
    for key in KEYS:
        if key.help:
            assert any(line.split("  ")[0] == key.name and key.help in line for line in lines)


def test_the_last_line_has_the_labels_in_their_order() -> None:
    line = KeyBar().line(500).plain
    labels = [f"{key.name} {key.label}" for key in KEYS if key.label]
    assert line.split("  ") == [" " + labels[0], *labels[1:]]


def test_no_label_is_longer_where_it_is_tight() -> None:
    for key in KEYS:
        assert len(key.short) < len(key.label) or not key.short
        assert key.label or not key.short


def test_a_key_that_runs_the_guest_wants_it_to_stand() -> None:
    assert all(key.when == {"stopped"} for key in KEYS if isinstance(key.does, Move))
    assert GuestCourse().activity not in pressed("r").when


def test_the_readme_has_the_table() -> None:
    text = (ROOT / "README.md").read_text()
    assert with_keys(text) == text, "run python -m tools.refresh_docs"
    assert "| `s` |" in text
