"""The rules that come with rcdbg: silent on recorded runs, and loud when one is broken in them."""

from types import SimpleNamespace
from typing import Any

import pytest

from rcdbg.errors import UsageError
from rcdbg.model.state import Problem
from rcdbg.model.threads.processor import read_processor
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.story.invariants import (
    SHIPPED,
    invariant,
    no_frame_has_two_owners,
    parked_threads_can_go_on,
    threads_are_consistent,
)
from tests.support.recordings import Played
from tests.unit.recorded.runs import NAMES, handled, traps
from tests.unit.trace.events import event

NOBODY: Any = None
SWITCH = event("switch", from_=1, to=2, why="timer")


def at(played: Played) -> Any:
    """What a rule asks of a run."""
    return SimpleNamespace(kernel=played.kernel)


def test_three_of_them_come_with_rcdbg() -> None:
    """As docs/testing-your-kernel.md has them."""
    names = {"threads_are_consistent", "parked_threads_can_go_on", "no_frame_has_two_owners"}
    assert {*SHIPPED} == names
    assert all(SHIPPED[name].name == name for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_they_hold_whenever_a_trap_is_handled(name: str) -> None:
    for played in traps(name, 4):
        for rule in SHIPPED.values():
            assert rule.broken(at(played), SWITCH) is None, rule.name


def test_a_parked_sp_outside_of_the_stack() -> None:
    played = handled("preempt", 4)
    kernel = played.kernel()
    parked = read_processor(kernel).ready[0]
    assert parked.context is not None
    sp = kernel.memory.physical(parked.context.address + 2 * 8)
    played.write_phys(sp, (0x1234_5670).to_bytes(8, "little"))
    said = parked_threads_can_go_on.broken(at(played), SWITCH)
    assert said is not None
    assert said.startswith(f"thread {parked.id}.context sp 0x12345670 is outside its stack")


def test_two_threads_with_one_number() -> None:
    played = handled("preempt", 4)
    kernel = played.kernel()
    first, second = read_processor(kernel).ready
    # The Threads differ in little; where the one has its number, the other has the other number.
    offsets = [
        offset for offset in range(0, 256, 8)
        if kernel.memory.read(first.address + offset, 8) == number(first.id)
        and kernel.memory.read(second.address + offset, 8) == number(second.id)
    ]  # fmt: skip
    assert offsets
    for offset in offsets:
        played.write_phys(kernel.memory.physical(second.address + offset), number(first.id))
    said = threads_are_consistent.broken(at(played), SWITCH)
    assert said is not None
    assert f"thread {first.id} 2 threads have this id" in said


def number(value: int | None) -> bytes:
    return (value or 0).to_bytes(8, "little")


def test_a_frame_in_two_stacks() -> None:
    """Whoever holds the frame of the last page of a thread's stack is given another thread's."""
    played = handled("preempt", 4)
    kernel = played.kernel()
    mine, other = (
        kernel.memory.physical(thread.stack.end - 8) >> 12
        for thread in read_processor(kernel).ready
        if thread.stack is not None
    )
    holders = played.words_within(mine, mine)
    assert holders
    for address in holders:
        played.write_phys(address, number(other))
    said = no_frame_has_two_owners.broken(at(played), SWITCH)
    assert said is not None
    assert f"frame {other:#x} " in said


def test_they_are_looked_at_after_the_events_that_matter() -> None:
    looked: list[str] = []

    @invariant(at="switch,frames")
    def note(run: Any) -> None:
        looked.append("looked")

    told = [event(kind) for kind in ("console", "switch", "frame_free", "trap_enter")]
    assert [note.broken(NOBODY, one) for one in told] == [None] * 4
    assert len(looked) == 2
    assert (note.name, note.kinds) == ("note", ("switch", "frame_alloc", "frame_free"))
    with pytest.raises(UsageError, match="no kind of event 'swich'"):
        invariant(at="swich")


def raising(words: str) -> Any:
    def check(run: Any) -> None:
        raise AssertionError(words)

    return check


def returning(found: Any) -> Any:
    def check(run: Any) -> Any:
        return found

    return check


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (returning(None), None),
        (returning(True), None),
        (returning([]), None),
        (returning("too many"), "too many"),
        (returning(Problem("thread 3", "is lost")), "thread 3 is lost"),
        (returning(["a", "b"]), "a; b"),
        (returning(list("abcdef")), "a; b; c; d; and 2 more"),
        (returning(17), "17"),
        (raising("five threads\nassert 5 <= 4"), "five threads"),
        (raising(""), "its assertion failed"),
    ],
)
def test_what_a_rule_may_say(check: Any, words: str | None) -> None:
    seen: TraceEvent = SWITCH
    assert invariant(check).broken(NOBODY, seen) == words
