"""Whose files a report may quote: an ELF names any file it likes."""

import os
from pathlib import Path

import pytest

from rcdbg.testing.sources import MAX_BYTES, own_folder, read_source

SECRET = "the teacher's own\n"


@pytest.fixture
def students(tmp_path: Path) -> Path:
    """A student's folder with a source, beside files that are nobody's business."""
    own = tmp_path / "ada"
    (own / "os/src/trap").mkdir(parents=True)
    (own / "os/src/trap/mod.rs").write_text("fn one() {}\nfn two() {}\n")
    (tmp_path / "solution.rs").write_text(SECRET)
    return own


def test_a_kernels_own_folder_is_that_of_cargos_target(tmp_path: Path) -> None:
    assert own_folder(tmp_path / "os/target/riscv64gc/release/os") == tmp_path / "os"
    assert own_folder(tmp_path / "ada/kernel.elf") == tmp_path / "ada"


def test_what_lies_below_is_quoted_wherever_it_was_built(students: Path) -> None:
    expected = ["fn one() {}", "fn two() {}"]
    assert read_source(str(students / "os/src/trap/mod.rs"), [students]) == expected
    assert read_source("/home/ada/lab/os/src/trap/mod.rs", [students]) == expected
    assert read_source("src/trap/mod.rs", [students / "os"]) == expected


@pytest.mark.parametrize(
    "name",
    ["{up}/solution.rs", "{own}/../solution.rs", "../solution.rs", "/etc/passwd", "{own}/link.rs",
     "{own}/way/solution.rs", "{own}/pipe.rs", "{own}/passwords", "{own}/.git/x.rs", "{own}",
     "a\0b.rs", "{own}/circle.rs", "/dev/stdin", "/proc/self/environ", ""],
)  # fmt: skip
def test_nothing_else_is(students: Path, name: str) -> None:
    up = students.parent
    (students / "link.rs").symlink_to(up / "solution.rs")
    (students / "way").symlink_to(up)
    (students / "circle.rs").symlink_to(students / "circle.rs")
    os.mkfifo(students / "pipe.rs")
    (students / "passwords").write_text(SECRET)
    (students / ".git").mkdir()
    (students / ".git/x.rs").write_text(SECRET)
    assert read_source(name.format(up=up, own=students), [students]) == []


def test_a_huge_file_is_read_so_far(students: Path) -> None:
    with (students / "huge.rs").open("wb") as huge:
        huge.write(b"x\n")
        huge.truncate(1 << 40)
    first, rest = read_source(str(students / "huge.rs"), [students])
    assert (first, len(rest)) == ("x", MAX_BYTES - 2)
