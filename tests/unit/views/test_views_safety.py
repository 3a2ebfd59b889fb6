"""Views never fail, never cut silently, and never let the guest write to the terminal."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from rcdbg.escape import safe
from rcdbg.model.state import KernelState, Place
from rcdbg.subjects import report
from rcdbg.views import common, palette
from rcdbg.views.common import guest, size, styled
from rcdbg.views.layout import Fitted, GuardedView, hanging
from rcdbg.views.render import render_text, show
from tests.unit.views import samples

STATES = {"healthy": samples.healthy(), "early": samples.early(), "ruined": samples.ruined()}


@pytest.mark.parametrize("width", [20, 30, 48, 80, 160])
@pytest.mark.parametrize("previous", STATES)
@pytest.mark.parametrize("name", STATES)
def test_every_state_renders_after_every_other(name: str, previous: str, width: int) -> None:
    text = render_text(report.view_state(STATES[name], STATES[previous]), width)
    assert "cannot be shown" not in text
    assert max(map(len, text.splitlines())) <= width
    for title in ("Hart", *(part.title for part in report.panels()), "Problems"):
        assert f" {title} " in text


@pytest.mark.parametrize("color", [True, False])
def test_hostile_text_stays_text(color: bool) -> None:
    text = render_text(report.view_state(STATES["ruined"]), 100, color=color)
    assert "\\x1b[2J" in text
    assert "[bold" in text
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", without_colours)


@given(st.text())
def test_safe_text_is_one_line_of_printable_characters(text: str) -> None:
    result = safe(text)
    assert "\n" not in result
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", result)
    if text.isascii() and text.isprintable():
        assert result == text


@given(
    st.text("ab :_", max_size=200).map(guest),
    st.integers(min_value=20, max_value=60),
)
def test_wrapping_loses_nothing(line: Text, width: int) -> None:
    wrapped = hanging(line, width)
    assert "".join(wrapped.plain.split()) == "".join(line.plain.split())
    assert all(len(part.rstrip()) <= width for part in wrapped.plain.split("\n"))


def test_a_part_that_fails_shows_it_and_the_others_go_on() -> None:
    broken = KernelState(
        STATES["healthy"].hart,
        STATES["healthy"].trap,
        None,  # type: ignore[arg-type]
        STATES["healthy"].frames,
        STATES["healthy"].processor,
    )
    text = render_text(report.view_state(broken), 100)
    assert text.count("this cannot be shown: AttributeError") == 1
    assert "FifoScheduler" in text
    assert "StackedAllocator" in text


def test_a_failure_while_rendering_is_caught_too() -> None:
    def build(width: int) -> Text:
        raise ValueError(f"at\x1b {width}")

    text = render_text(GuardedView(lambda: Fitted(build)), 40)
    assert text == "! this cannot be shown: ValueError:\nat\\x1b 40\n"


def test_colour_only_on_demand_and_never_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    view = report.view_state(STATES["healthy"])
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in render_text(view, 80)
    assert re.search(r"\x1b\[[0-9;]*3[1-6]m", render_text(view, 80, color=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", render_text(view, 80, color=True))


def test_a_dumb_terminal_does_not_change_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    lines = render_text(report.view_state(STATES["healthy"]), 120).splitlines()
    assert max(map(len, lines)) == 120


def test_show_prints_plain_text_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show(report.view_state(STATES["healthy"]))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert max(map(len, printed.splitlines())) == 120


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (4096, "4 KiB"), (1536 << 10, "1.5 MiB"), (1 << 30, "1 GiB"),
     (1 << 39, "512 GiB"), (1 << 64, "16 EiB"), (1 << 80, "1048576 EiB")],
)  # fmt: skip
def test_sizes(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_ordinals(number: int, text: str) -> None:
    assert common.ordinal(number) == text


def test_source_paths_start_at_the_crate() -> None:
    assert common.short_path("/home/me/lab/os/src/memory/heap.rs") == "os/src/memory/heap.rs"
    assert common.short_path("/rustc/abc/library/core/src/ptr/mod.rs") == "core/src/ptr/mod.rs"
    assert common.short_path("src/main.rs") == "src/main.rs"
    assert common.short_path("/a/b/c/d/e.rs") == "c/d/e.rs"


def test_long_symbols_lose_their_path_first_and_say_so() -> None:
    place = Place(0x1000, "<a::B as c::D>::very::deep::idle", 0x14)
    assert common.symbol(place).plain == "<a::B as c::D>::very::deep::idle+0x14"
    assert common.symbol(place, 20).plain == "…::deep::idle+0x14"
    assert common.symbol(place, 5).plain == "…::idle+0x14"


def test_a_style_ends_where_its_text_ends() -> None:
    label = styled("sstatus", palette.LABEL)
    line = label + Text(" SIE")
    assert [(line.plain[s.start : s.end], s.style) for s in line.spans] == [
        ("sstatus", palette.LABEL)
    ]
    assert line.style in ("", palette.PLAIN)
    text = render_text(report.view_state(STATES["healthy"]), 100, color=True)
    words = next(row for row in text.splitlines() if "SPIE SPP=S" in row)
    assert "\x1b[36msstatus \x1b[0m" in words
    assert not re.search(r"\x1b\[[0-9;]*36m[^\x1b]*SPIE", words)
