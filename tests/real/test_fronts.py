"""The chapters of the tutorial through each front, by their own QEMU command lines."""

from pathlib import Path

import pytest

from rcdbg.machine.qemu.info import parse_info_registers
from tests.real import at_stops, fronts, page
from tests.real.test_at_stops import RUNS
from tests.real.truth import Truth
from tests.support.real import programs, traps, tutorial

TRAPS = 8
SHELL = ("initproc", "user_shell")


def words_at_fronts(chapter: str, folder: Path) -> at_stops.Words:
    """What each front says of that chapter; raises AssertionError where it errs."""
    kernel, truth, said = tutorial(chapter), Truth(), at_stops.Words()
    seen: list[tuple[int | None, int, int]] = []
    # Timer interrupts come in the third chapter alone: there two runs must be alike.
    exact = chapter == "ch3"
    with kernel.run(deterministic=exact) as run:
        for number in traps(run, truth.watch(run.image, chapter)):
            now = parse_info_registers(run.stub.monitor("info registers"))
            seen.append((truth.current, now["scause"], now["sepc"]))
            if number == TRAPS:
                break
        # Of the fourth chapter, the first of its list runs until it is taken off.
        ended = len(programs(chapter)) - len(truth.tasks) if chapter == "ch4" else 0
        run.settle()
        truth.look(run.console)
        state = run.state()
        context = state.trap.context
        place = context.sepc.symbol if context is not None else None
        names = programs(chapter)
        these = {n: name for n, name in enumerate(names) if name in SHELL}
        if chapter < "ch5" and truth.current is not None:
            these = {truth.current + ended: names[truth.current + ended]}
        said.note("user programs", fronts.user_programs(state.processor, these, place))
        said.note("snapshot", fronts.snapshot(run, truth, folder))
        said.note("gdb", fronts.gdb(run, truth))
    fronts.everything(kernel)
    said.note("trace", fronts.trace(kernel, seen, exact))
    said.note("pytest", fronts.in_pytest(kernel, folder, TRAPS, truth))
    said.note("first screen", fronts.first_screen(kernel, folder))
    return said


@pytest.mark.parametrize("chapter", RUNS)
def test_each_front_is_right_and_as_the_page_has_it(chapter: str, tmp_path: Path) -> None:
    said = words_at_fronts(chapter, tmp_path)
    found = {column: said.verdict(column) for column in said.said}
    committed = page.cells()[page.name_of(chapter)]
    assert found == {column: committed[column] for column in found}


def test_the_page_has_a_word_for_everything() -> None:
    found = page.cells()
    assert list(found) == [page.name_of(chapter) for chapter in (*RUNS, page.ARCEOS)]
    for row in found.values():
        assert tuple(row) == page.COLUMNS
        assert set(row.values()) <= set(at_stops.WORDS)
    text = page.PAGE.read_text()
    assert page.with_cells(text, found) == text
