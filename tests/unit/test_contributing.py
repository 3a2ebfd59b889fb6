"""CONTRIBUTING.md names files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PLACES = sorted({
    place
    for place in re.findall(r"`([\w./-]+/[\w./-]*)`", TEXT)
    if place.split("/")[0] in ("rcdbg", "kernel", "gdbscripts", "tests", "docs")
})  # fmt: skip
LINKS = re.findall(r"\]\(([^)]+)\)", TEXT)
ROWS = ("SPECS", "KEYS", "SCHEMES")


def test_there_is_something_to_look_for() -> None:
    assert len(PLACES) > 12
    assert LINKS


@pytest.mark.parametrize("place", [*PLACES, *LINKS])
def test_each_place_exists(place: str) -> None:
    assert (ROOT / place.replace("...", "")).exists()


@pytest.mark.parametrize("table", ROWS)
def test_each_table_is_where_it_is_said_to_be(table: str) -> None:
    file = re.search(rf"`(rcdbg/\S+)`: a row of `{table}`", TEXT)
    assert file is not None
    assert re.search(rf"^{table}\b", (ROOT / file[1]).read_text(), re.MULTILINE)
