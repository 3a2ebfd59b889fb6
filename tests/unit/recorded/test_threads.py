"""Threads, trap and frames of recorded moments are those that the kernel printed right after."""

import pytest

from rcdbg.model.read import read_state
from rcdbg.model.threads.idle import idle_thread
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.rules import broken_invariants
from tests.support.dump import Dump, check_state, parse_dump
from tests.support.recordings import Played, recorded
from tests.unit.recorded.runs import NAMES, handled, numbers, traps


def dumped(name: str) -> tuple[Played, Dump]:
    """The recording at the tick at which the kernel then prints its dump, and that."""
    dump = parse_dump(recorded(name).console)
    return handled(name, dump.tick), dump


@pytest.mark.parametrize("name", ["preempt", "sleepers"])
def test_what_the_kernel_dumps(name: str) -> None:
    played, dump = dumped(name)
    assert dump.ready or dump.sleeping
    check_state(read_state(played.kernel()), dump)


def test_the_idle_thread_is_the_one_that_runs_while_all_sleep() -> None:
    played, dump = dumped("sleepers")
    assert dump.current is not None
    assert not dump.ready
    assert len(dump.sleeping) == 4
    processor = read_processor(played.kernel())
    assert processor.current is not None
    assert processor.current.is_idle
    assert processor.current.id == dump.current["id"]
    assert processor.current.address == idle_thread(played.kernel())
    assert not any(thread.is_idle for thread in processor.sleeping)


def test_before_anything_is_made_there_are_no_threads_and_a_reason() -> None:
    played = Played(recorded("threads"))
    assert played.forward()
    processor = read_processor(played.kernel())
    assert processor.threads == ()
    assert processor.note
    assert processor.problems == ()


def test_threads_of_processes_in_u_mode_and_in_the_kernel() -> None:
    """Process 3 says hello from U-mode; each has its own root table, which it prints."""
    assert len(numbers("processes", r"process (\d+): root page table (0x\w+)")) == 3
    played = handled("processes", 2)
    threads = {thread.id: thread for thread in read_processor(played.kernel()).threads}
    assert {number: thread.is_user for number, thread in threads.items() if number} == {
        1: False, 2: False, 3: True
    }  # fmt: skip
    assert len({thread.process for thread in threads.values()}) == 4, "and the kernel's own"
    stacks = {(t.stack.start, t.stack.end) for n, t in threads.items() if n and t.stack}
    assert len(stacks) == 1, "each address space has its own stack at the same place"


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_hold_whenever_a_trap_is_handled(name: str) -> None:
    looked = traps(name, 12)
    assert len(looked) > 2
    for played in looked:
        kernel = played.kernel()
        processor = read_processor(kernel)
        assert broken_invariants(kernel, processor) == ()
        assert processor.problems == ()


def test_a_list_that_is_broken_keeps_what_is_before_the_break() -> None:
    """The second ready thread is out of reach: its Arc, after the first one's, is nonsense."""
    played, dump = dumped("preempt")
    kernel = played.kernel()
    first, second = read_processor(kernel).ready
    assert [first.id, second.id] == [row["id"] for row in dump.ready]
    # An Arc points to its counters, which are right before the Thread.
    holders = played.words_within(second.address - 64, second.address)
    assert holders
    for address in holders:
        played.write_phys(address, (0x10).to_bytes(8, "little"))
    broken = read_processor(played.kernel())
    assert [thread.id for thread in broken.ready] == [first.id]
    assert broken.current is not None
    assert dump.current is not None
    assert broken.current.id == dump.current["id"]
    assert broken.problems
