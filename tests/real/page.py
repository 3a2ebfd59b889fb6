"""docs/kernels.md: what works on which kernel. `python -m tests.real.page` makes it anew.

The tests of this folder compare what they find with the page, cell by cell.
"""

import re
import sys
import tempfile
from pathlib import Path

from tests.support.real import ROOT

PAGE = ROOT / "docs" / "kernels.md"
COLUMNS = (
    "first screen",
    "threads",
    "processes",
    "frames",
    "heap",
    "page tables",
    "memory sets",
    "traps",
    "trace",
    "user programs",
    "snapshot",
    "gdb",
    "pytest",
)
_TABLE = re.compile(r"(<!-- verdicts -->\n).*?(<!-- end of verdicts -->)", re.DOTALL)

ARCEOS = "arceos"

Cells = dict[str, dict[str, str]]
"""By kernel and column."""


def cells(text: str | None = None) -> Cells:
    """What the page says."""
    found = _TABLE.search(PAGE.read_text() if text is None else text)
    assert found is not None
    lines = [line for line in found[0].splitlines() if line.startswith("|")]
    head, _, *rows = [[word.strip() for word in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def with_cells(text: str, new: Cells) -> str:
    """The page's text with these cells."""
    rows = ["| kernel | " + " | ".join(COLUMNS) + " |", "| --- " * (len(COLUMNS) + 1) + "|"]
    rows += [f"| {name} | {' | '.join(of[c] for c in COLUMNS)} |" for name, of in new.items()]
    table = "".join(f"{row}\n" for row in rows)
    return _TABLE.sub(lambda found: f"{found[1]}{table}{found[2]}", text)


def main() -> None:
    """Look at the kernels that are named, or at all."""
    from tests.real import test_arceos
    from tests.real.test_at_stops import RUNS, words_at_stops
    from tests.real.test_fronts import words_at_fronts

    known = cells()
    for chapter in sys.argv[1:] or (*RUNS, ARCEOS):
        with tempfile.TemporaryDirectory() as folder:
            if chapter == ARCEOS:
                fronts, stops = (
                    test_arceos.words_at_fronts(Path(folder)),
                    test_arceos.words_at_stops(),
                )
            else:
                fronts, stops = words_at_fronts(chapter, Path(folder)), words_at_stops(chapter)
        row = {c: (fronts if c in fronts.said else stops).verdict(c) for c in COLUMNS}
        known[name_of(chapter)] = row
        PAGE.write_text(with_cells(PAGE.read_text(), known))


def name_of(chapter: str) -> str:
    """What the page calls a chapter of the tutorial, or the other kernel."""
    return "ArceOS" if chapter == ARCEOS else f"tg {chapter}"


if __name__ == "__main__":
    main()
