"""Source and instructions around the pc."""

import pytest

from rcdbg.model.state import Place
from rcdbg.views import code, highlight
from rcdbg.views.code import Code, Instruction, Source
from rcdbg.views.render import render_text

PC = Place(0x8020_1008, "os::main", 8, "/k/os/src/main.rs", 50)
SOURCE = Source("/k/os/src/main.rs", 1, tuple(f"line_{n}();\n" for n in range(1, 101)), 50)
INSTRUCTIONS = tuple(
    Instruction(0x8020_1000 + 4 * i, f"addi a{i % 8},sp,{i}", "os::main", 4 * i) for i in range(30)
)
CODE = Code(PC, SOURCE, INSTRUCTIONS, frozenset({51}), frozenset({0x8020_100C}))


@pytest.mark.parametrize("height", [8, 12, 20, 40])
@pytest.mark.parametrize("width", [40, 60, 120])
def test_the_pc_is_marked_in_both_at_every_size(width: int, height: int) -> None:
    lines = render_text(code.view(CODE, height), width).splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    marked = [line for line in lines if "▸" in line]
    assert len(marked) == 2
    assert marked[0].split() == ["▸", "50", "line_50();"]
    assert "0x80201008 addi a2,sp,2" in marked[1]
    assert any("── os::main+0x8" in line for line in lines)


def test_breakpoints_are_marked() -> None:
    lines = render_text(code.view(CODE, 20), 60).splitlines()
    assert [line.split()[1] for line in lines if line.startswith("●")] == ["51", "0x8020100c"]


def test_without_a_height_all_of_it_is_shown() -> None:
    text = render_text(code.view(CODE), 80)
    assert text.count("line_") == 100
    assert text.count("addi") == 30


def test_near_the_ends_of_the_file_the_window_stays_full() -> None:
    for line in (1, 100):
        source = Source(SOURCE.path, 1, SOURCE.lines, line)
        text = render_text(code.view(Code(PC, source), 10), 60)
        assert text.count("line_") == 10
        assert f"▸ {line:>3}" in text


def test_what_is_missing_is_said() -> None:
    bare = Code(Place(0x1000), notes=("no source line is known", "no instructions: not mapped"))
    text = render_text(code.view(bare, 10), 60)
    assert text == "no source line is known\nno instructions: not mapped\n"
    assert code.where(bare).plain == "0x1000"
    assert code.where(CODE).plain == "os/src/main.rs:50"


def test_a_line_that_is_too_long_ends_in_an_ellipsis() -> None:
    long = Source("main.rs", 1, ("x" * 500,), 1)
    (line,) = render_text(code.view(Code(PC, long), 3), 40).splitlines()
    assert line.endswith("x…")
    assert len(line) == 40


def test_windows_of_files() -> None:
    lines = [f"{n}" for n in range(1, 11)]
    window = code.source_window("f", lines, 2, 3)
    assert window == Source("f", 1, ("1", "2", "3", "4", "5"), 2)
    assert code.source_window("f", lines, 11, 3) is None
    assert code.source_window("f", lines, 0, 3) is None


@pytest.mark.parametrize(
    ("line", "part", "style"),
    [
        ("    let x = 0x10_usize; // why", "let", "keyword"),
        ("    let x = 0x10_usize; // why", "0x10_usize", "number"),
        ("    let x = 0x10_usize; // why", "// why", "comment"),
        ('println!("a \\" b", c)', '"a \\" b"', "string"),
        ('println!("a \\" b", c)', "println!", "macro"),
        ("impl<'a> Frame<'a> {", "'a", "lifetime"),
        ("impl<'a> Frame<'a> {", "Frame", "type"),
        ("#[no_mangle]", "#[no_mangle]", "attribute"),
    ],
)
def test_rust_in_colour(line: str, part: str, style: str) -> None:
    text = highlight.source_line(line, "main.rs")
    assert text.plain == line
    painted = {text.plain[span.start : span.end]: span.style for span in text.spans}
    assert painted[part] == highlight.STYLES[style]


def test_source_is_text_and_no_markup() -> None:
    text = highlight.source_line("\tlet [red] = \x1b[2J;", "main.rs")
    assert text.plain == "    let [red] = \\x1b[2J;"
