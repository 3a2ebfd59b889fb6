"""The kernel's output becomes safe lines, however it is cut into pieces."""

import re

from hypothesis import given
from hypothesis import strategies as st

from rcdbg.escape import safe
from rcdbg.tui.widgets.guest_text import GuestText


def lines_of(pieces: list[str]) -> list[str]:
    guest, lines = GuestText(), [""]
    for piece in pieces:
        lines[-1:] = [line.plain for line in guest.feed(piece)]
    return lines


@given(st.lists(st.sampled_from(["a", "bc d", "\n", "\r\n", "\x1b[31m", "\x1b[0m", "é", "\t"])),
       st.integers(1, 7))  # fmt: skip
def test_cutting_the_text_anywhere_changes_nothing(parts: list[str], size: int) -> None:
    text = "".join(parts)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    plain = re.sub(r"\x1b\[\d+m", "", text).replace("\r\n", "\n")
    assert lines_of(pieces) == lines_of([text])
    if "\t" not in text:
        assert lines_of(pieces) == plain.split("\n")


@given(st.text(max_size=300))
def test_nothing_gets_through_that_could_move_the_cursor(text: str) -> None:
    for line in lines_of([text]):
        assert safe(line) == line


def test_colours_are_kept() -> None:
    (line,) = GuestText().feed("\x1b[31mred\x1b[0m plain")
    assert line.plain == "red plain"
    assert [(span.start, span.end, str(span.style)) for span in line.spans] == [(0, 3, "color(1)")]


def test_what_is_written_over_its_line_is_what_counts() -> None:
    assert lines_of(["10 %\r20 %\r", "30 %\ndone"]) == ["30 %", "done"]


def test_titles_links_and_screen_control_are_dropped() -> None:
    assert lines_of(["\x1b]0;evil\x07a\x1b[2J\x1b[10;10Hb\x1b(Bc\x1b]8;;http://x\x1b\\d"]) == [
        "abcd"
    ]


def test_a_line_without_end_is_cut_into_pieces() -> None:
    lines = lines_of(["x" * 5000, "y"])
    assert "".join(lines) == "x" * 5000 + "y"
    assert max(map(len, lines)) == 2000
