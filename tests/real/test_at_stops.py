"""The chapters of the tutorial at a hundred traps each."""

import pytest

from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.state import Context
from rcdbg.trace.run import Run
from tests.real import at_stops, page
from tests.real.truth import Truth
from tests.support.real import traps, tutorial

STOPS = 100
RUNS = {
    "ch3": ("", 20),
    "ch4": ("", 4),
    "ch5": ("ch5b_usertest", 10),
    "ch6": ("12forktest", 2),
    "ch7": ("pipetest", 1),
    "ch8": ("mpsc_sem", 2),
}
"""What is typed at the shell, and every how many traps it is looked at."""


def words_at_stops(chapter: str) -> at_stops.Words:
    """What rcdbg says at the stops of that chapter's run; raises AssertionError where it errs."""
    typed, every = RUNS[chapter]
    truth, said = Truth(), at_stops.Words()
    last: Context | None = None
    most, waited = 0, False
    with tutorial(chapter).run(deterministic=False) as run:
        counts = at_stops.HeapCounts.of(run)
        if typed:
            run.qemu.console.write(f"{typed}\n".encode())
        for number in traps(run, truth.watch(run.image, chapter)):
            at_stops.syscall(last, truth)
            last = None
            if number % every:
                continue
            last = _look(run, truth, counts, said)
            most, waited = max(most, len(truth.tasks)), waited or bool(truth.waiting)
            if number >= STOPS * every:
                break
        else:
            raise AssertionError("it ended too early")
    # Guards: there was something to be wrong about.
    assert most > 2
    assert waited == (chapter == "ch8")
    return said


def _look(
    run: Run, truth: Truth, counts: at_stops.HeapCounts | None, said: at_stops.Words
) -> Context | None:
    """Note what is said at one stop; returns the Context of the trap."""
    run.settle()
    truth.look(run.console)
    kernel, state = run.kernel(), run.state()
    sets = read_memory_sets(kernel)
    said.note("registers", at_stops.registers(run, state))
    said.note("page tables", at_stops.page_table(run, state))
    said.note("traps", at_stops.trap(run, state, truth))
    said.note("threads", at_stops.threads(state.processor, truth))
    said.note("processes", at_stops.processes(sets, truth))
    said.note("memory sets", at_stops.memory_sets(kernel, sets, truth))
    said.note("heap", at_stops.heap(run, kernel, counts))
    said.note("frames", at_stops.frames(state))
    truth.syscall = None
    return state.trap.context


@pytest.mark.parametrize("chapter", RUNS)
def test_what_is_said_is_right_and_as_the_page_has_it(chapter: str) -> None:
    said = words_at_stops(chapter)
    assert said.verdict("registers") == at_stops.RIGHT
    found = {column: said.verdict(column) for column in page.COLUMNS if column in said.said}
    committed = page.cells()[page.name_of(chapter)]
    assert found == {column: committed[column] for column in found}
