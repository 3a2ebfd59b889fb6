from pathlib import Path

import pytest

from rcdbg.errors import ImageError
from rcdbg.image.dwarf.forms import DebugSections
from rcdbg.image.elf import Image, load_image
from rcdbg.image.lines import LineTable, SourceLine, read_lines, source_path
from tests.unit.image import build
from tests.unit.image.build import BASE, Dwarf

MAIN, OPS = "/build/src/main.rs", "/core/ops.rs"

COPY, ADVANCE_PC, ADVANCE_LINE, SET_FILE, SET_COLUMN = b"\1", b"\2", b"\3", b"\4", b"\5"
NEGATE_STMT, CONST_ADD_PC, FIXED_ADVANCE, PROLOGUE_END = b"\6", b"\x08", b"\x09", b"\x0a"


def start(address: int) -> bytes:
    """DW_LNE_set_address."""
    return b"\0\x09\x02" + address.to_bytes(8, "little")


def special(line: int, pc: int) -> bytes:
    """The opcode that advances both and adds a row."""
    return bytes([line + 5 + 14 * pc + 13])


def end(pc: int) -> bytes:
    """DW_LNE_end_sequence, `pc` bytes on."""
    return ADVANCE_PC + build.uleb(pc) + b"\0\x01\x01"


# main.rs: 1 at 0, 3 at 4, ops.rs: 90 at 8, main.rs: 3 again at 12, 4 at 14 (no statement), ends 20.
PROGRAM = (
    (start(BASE) + SET_COLUMN + b"\x05" + COPY)
    + special(2, 4)
    + (SET_FILE + b"\2" + ADVANCE_LINE + build.sleb(87) + special(0, 4))
    + (SET_FILE + b"\1" + ADVANCE_LINE + build.sleb(-87) + FIXED_ADVANCE + b"\4\0" + COPY)
    + (NEGATE_STMT + PROLOGUE_END + special(1, 2))
    + end(6)
)
EARLIER = start(BASE - 0x100) + special(4, 0) + end(8)
DISCARDED = start(0) + special(4, 0) + special(1, 2) + end(8)


def table(program: bytes, version: int = 4) -> LineTable:
    """The rows of one program compiled in /build."""
    line = build.line_program(program, version=version)
    return read_lines(DebugSections(line=line), [(0, "/build")])


@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("offset", "place"),
    [
        (-1, None),
        (0, (MAIN, 1, 5)),
        (2, (MAIN, 1, 5)),
        (4, (MAIN, 3, 5)),
        (8, (OPS, 90, 5)),
        (12, (MAIN, 3, 5)),
        (14, (MAIN, 4, 5)),
        (19, (MAIN, 4, 5)),
        (20, None),
        (1 << 40, None),
        (-0x100, (MAIN, 5, 0)),
        (-0xF9, (MAIN, 5, 0)),
        (-0xF8, None),
    ],
)
def test_lookup(version: int, offset: int, place: tuple[str, int, int] | None) -> None:
    found = table(PROGRAM + EARLIER + DISCARDED, version).lookup(BASE + offset)
    assert found == (SourceLine(*place) if place else None)


def test_discarded_code_leaves_no_rows() -> None:
    assert len(table(DISCARDED).pcs) == 0


@pytest.mark.parametrize(
    ("file", "line", "offsets"),
    [
        ("main.rs", 1, [0]),
        ("src/main.rs", 3, [4, 12]),
        (MAIN, 3, [4, 12]),
        ("ops.rs", 90, [8]),
        ("main.rs", 90, []),
        ("ain.rs", 1, []),
        ("main.rs", 4, []),  # not a statement: no place for a breakpoint
        ("main.rs", 2, []),
    ],
)
def test_addresses_of_a_line(file: str, line: int, offsets: list[int]) -> None:
    assert table(PROGRAM).addresses(file, line) == [BASE + offset for offset in offsets]


def test_a_line_in_two_rows_has_one_address() -> None:
    rows = start(BASE) + COPY + special(0, 4) + special(1, 4) + end(4)
    assert table(rows).addresses("main.rs", 1) == [BASE]


def test_line_zero_is_no_place() -> None:
    rows = start(BASE) + special(-1, 0) + special(5, 2) + end(4)
    assert table(rows).lookup(BASE) is None
    assert table(rows).lookup(BASE + 2) == SourceLine(MAIN, 5, 0)


def test_const_add_pc_and_unknown_opcodes() -> None:
    rows = (
        start(BASE) + COPY + CONST_ADD_PC + b"\x0c\x09" + b"\0\x02\x80\x07" + special(1, 0) + end(4)
    )
    advance = (255 - 13) // 14
    assert table(rows).lookup(BASE + advance) == SourceLine(MAIN, 2, 0)
    assert table(rows).lookup(BASE + advance - 1) == SourceLine(MAIN, 1, 0)


def test_files_with_code() -> None:
    assert table(PROGRAM).source_files() == [MAIN, OPS]


@pytest.fixture
def image(tmp_path: Path) -> Image:
    dwarf = Dwarf(
        [build.base("u8", 1, 7)],
        root=[(0x10, build.SEC_OFFSET, 0), (0x1B, build.STRP, "/build")],
        line=build.line_program(PROGRAM),
    )
    path = tmp_path / "os"
    path.write_bytes(build.kernel(dwarf=dwarf).bytes())
    return load_image(path)


def test_lines_of_an_image(image: Image) -> None:
    assert image.lines.lookup(BASE + 4) == SourceLine(MAIN, 3, 5)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\xff\0\0\0\4\0", "reaches past its section"),
        (b"\2\0\0\0\x09\0", "of version 9"),
        (build.line_program(start(BASE) + SET_COLUMN + b"\xff" * 30), "LEB128"),
    ],
)
def test_damaged_lines_get_one_line(image: Image, line: bytes, says: str) -> None:
    dwarf = Dwarf([], root=[(0x10, build.SEC_OFFSET, 0)], line=line)
    image.path.write_bytes(build.kernel(dwarf=dwarf).bytes())
    with pytest.raises(ImageError, match=says) as caught:
        _ = load_image(image.path).lines
    assert "has damaged line tables" in str(caught.value)


def test_a_source_file_where_it_was_built(tmp_path: Path) -> None:
    file = tmp_path / "main.rs"
    file.touch()
    assert source_path(str(file)) == file
    assert source_path(str(tmp_path / "gone.rs")) is None


def test_a_source_file_that_moved(tmp_path: Path) -> None:
    (tmp_path / "a/process").mkdir(parents=True)
    (tmp_path / "a/process/thread.rs").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b/thread.rs").touch()
    built = "/home/someone/os/src/process/thread.rs"
    roots = [tmp_path / "missing", tmp_path / "b", tmp_path / "a"]
    assert source_path(built, roots) == tmp_path / "a/process/thread.rs", "the longest tail wins"
    assert source_path(built, [tmp_path / "b"]) == tmp_path / "b/thread.rs"
    assert source_path(built, [tmp_path]) is None
    assert source_path("/x/../../thread.rs", [tmp_path / "a/process"]) == (
        tmp_path / "a/process/thread.rs"
    )
    assert source_path("../b/thread.rs", [tmp_path / "a"]) is None, "roots are not left"
