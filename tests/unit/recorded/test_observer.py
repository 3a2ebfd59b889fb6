"""What an observer tells of recorded runs is what the kernel says of itself in them."""

import pytest

from rcdbg.kernels.reading import NOTHING
from rcdbg.riscv import causes
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import plan
from tests.support.dump import parse_dump
from tests.support.order import in_order
from tests.support.recordings import Played, PlayedRecorder, image, recorded
from tests.unit.recorded.runs import NAMES, TIMER, events, numbers, observer_of, of, said


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_told_once_in_the_order_of_time(name: str) -> None:
    assert [event.fields["text"] for event in of(name, "console")] == said(name)
    assert in_order(events(name))


@pytest.mark.parametrize("name", ["threads", "sleepers", "fault", "processes"])
def test_frames_that_were_taken_and_given_back(name: str) -> None:
    """The kernel counts those in use when the scenario begins, and at its end."""
    pattern = r"frames: (\d+) taken before, (\d+) after, \d+ of them new page tables"
    ((before, after),) = numbers(name, pattern)
    taken = [event.fields["ppn"] for event in of(name, "frame_alloc")]
    given = [event.fields["ppn"] for event in of(name, "frame_free")]
    assert len(taken) > 100
    assert len(taken) - len(given) == after - before
    assert {*given} <= {*taken}
    (start, end) = 0x80000, 0x82000
    assert all(start < ppn < end for ppn in taken), "in the 32 MiB of the machine"


def test_threads_run_in_the_order_in_which_they_say_hello() -> None:
    hello = [number for (number,) in numbers("threads", r"hello from kernel thread (\d+)")]
    assert hello == [1, 2, 3]
    assert [event.fields["id"] for event in of("threads", "thread_add")] == hello
    switches = of("threads", "switch")
    assert [event.fields["to"] for event in switches][:3] == hello
    assert switches[0].fields["why"] == "start"
    assert {event.fields["why"] for event in switches[1:3]} == {"exit"}
    ends = [(event.fields["id"], event.fields["why"]) for event in of("threads", "thread_exit")]
    assert ends == [(number, "exit") for number in hello]
    greeting = {event.fields["text"]: event.thread for event in of("threads", "console")}
    assert all(greeting[f"hello from kernel thread {number}"] == number for number in hello)


def test_the_ticks_of_each_thread_are_those_that_it_counted() -> None:
    lines = numbers("preempt", r"thread (\d+): (\d+) ticks, \d+ rounds")
    counted = {thread: ticks for thread, ticks in lines}  # noqa: C416
    assert sum(counted.values()) == 6
    ticks = [e for e in of("preempt", "trap_enter") if e.fields["scause"] == TIMER]
    assert {n: sum(e.thread == n for e in ticks) for n in counted} == counted
    assert {event.fields["depth"] for event in ticks} == {1}


def test_timer_interrupts_come_when_they_were_asked_for() -> None:
    """The kernel was booted with interval=100000."""
    deadline = None
    for event in of("preempt", "timer_set", "trap_enter"):
        assert event.ticks is not None
        if event.kind == "timer_set":
            assert 99_000 < event.fields["deadline"] - event.ticks <= 100_000
            deadline = event.fields["deadline"]
        elif event.fields["scause"] == TIMER:
            assert deadline is not None
            assert 0 <= event.ticks - deadline < 1000, "as long as a line is printed, at most"


def test_what_the_program_asks_for_is_what_comes_of_it() -> None:
    """Its two lines are as long as what it writes; it exits with the status that is printed."""
    with PlayedRecorder(recorded("processes")) as recorder:
        wanted = plan(image(), NOTHING, ("syscall", "syscall_end"))
        observer = Observer(image(), NOTHING, wanted, recorder.target)
        recorder.watch(observer.addresses)
        found = [event for moment in recorder.moments() for event in observer.feed(moment)]
    assert {event.thread for event in found} == {3}, "the only one in U-mode"
    asked = [event for event in found if event.kind == "syscall"]
    came = [event for event in found if event.kind == "syscall_end"]
    lines = [line for line in said("processes") if "U-mode" in line and "exits" not in line]
    written = [e.fields["arguments"] for e in asked if e.fields["name"] == "write"]
    assert [(w["fd"], w["len"]) for w in written] == [(1, len(line) + 1) for line in lines]
    assert [e.fields["result"] for e in came if e.fields["name"] == "write"] == [
        len(line) + 1 for line in lines
    ]
    ((_, status),) = numbers("processes", r"thread (\d+) exits from U-mode with status (\d+)")
    last = asked[-1].fields
    assert (last["name"], last["arguments"]) == ("exit", {"status": status})
    assert [e.fields["name"] for e in asked[:-1]] == [e.fields["name"] for e in came]
    ticks = [e.fields["result"] for e in came if e.fields["name"] == "ticks"]
    assert ticks == sorted(ticks)


def test_the_interrupted_place_is_the_one_that_the_kernel_dumps() -> None:
    dump = parse_dump(recorded("preempt").console)
    assert dump.trap is not None
    assert dump.current is not None
    ticks = [e for e in of("preempt", "trap_enter") if e.fields["scause"] == TIMER]
    there = ticks[dump.tick - 1]
    assert there.fields["sepc"] == dump.trap["sepc"]
    assert there.thread == dump.current["id"]
    active = [event for event in of("preempt", "satp") if event.seq < there.seq][-1]
    assert active.fields == {"mode": "Sv39", "root_ppn": dump.satp & (1 << 44) - 1}


def test_threads_sleep_and_wake_as_they_say() -> None:
    sleepers = {n for n, _ in numbers("sleepers", r"thread (\d+) sleeps until tick (\d+)")}
    waiting = {n for (n,) in numbers("sleepers", r"thread (\d+) waits for news")}
    assert len(sleepers) == 4
    assert {event.fields["id"] for event in of("sleepers", "sleep")} == sleepers | waiting
    woken = [n for n, _ in numbers("sleepers", r"thread (\d+) woke at tick (\d+)")]
    assert f"woken in the order {woken}" in said("sleepers")
    told = [event.fields["id"] for event in of("sleepers", "wake")]
    assert [*dict.fromkeys(reversed(told))][::-1] == woken, "the last time that each was woken"
    assert all(
        event.fields["why"] == "sleep" for event in of("sleepers", "switch")
        if event.fields["from"] in waiting and event.fields["to"] == 5
    )  # fmt: skip


def test_faults_are_those_that_the_kernel_reports() -> None:
    pattern = r"fault: [a-z ]+ \(scause (0x\w+)\), stval=(0x\w+), sepc=(0x\w+)"
    reported = numbers("fault", pattern)
    killed = [number for (number,) in numbers("fault", r"thread (\d+) killed")]
    assert len(reported) == len(killed) == 5
    faults = [
        event for event in of("fault", "trap_enter")
        if not event.fields["interrupt"] and event.fields["scause"] not in (3, 8, 9)
    ]  # fmt: skip
    assert [(e.fields["scause"], e.fields["stval"], e.fields["sepc"]) for e in faults] == reported
    assert [event.thread for event in faults] == killed
    for event in faults:
        line = f"fault: {event.fields['cause']} (scause {event.fields['scause']:#x})"
        assert any(said_line.startswith(line) for said_line in said("fault"))
    ends = [e.fields["id"] for e in of("fault", "thread_exit") if e.fields["why"] == "fault"]
    assert ends == killed


def test_a_thread_is_known_by_its_address_space_too() -> None:
    """All stacks are at one address; process n has thread n, and says where its root table is."""
    owner = {
        root >> 12: n for n, root in numbers("processes", r"process (\d+): root page table (0x\w+)")
    }
    assert sorted(owner.values()) == [1, 2, 3]
    root, traps = None, []
    for event in of("processes", "trap_enter", "satp"):
        if event.kind == "satp":
            root = event.fields["root_ppn"]
        elif root in owner:
            traps.append((event.thread, owner[root], event.fields["privilege"]))
    assert {thread for thread, _, _ in traps} == {1, 2, 3}
    assert all(thread == process for thread, process, _ in traps)
    assert {privilege for thread, _, privilege in traps if thread == 3} == {"U"}
    assert {privilege for thread, _, privilege in traps if thread != 3} == {"S"}


def test_an_observer_that_joins_later_knows_whose_trap_it_is() -> None:
    dump = parse_dump(recorded("preempt").console)
    assert dump.current is not None
    played = Played(recorded("preempt"))
    observer = observer_of(played)
    entry = next(p.address for p in observer.places if p.what == "trap_enter")
    while played.forward((entry,)) and played.registers().csrs["scause"] != TIMER:
        pass
    late = observer_of(played, satp=played.registers().csrs["satp"])
    late.join(played.moment())
    found = [event for event in late.feed(played.moment()) if event.kind == "trap_enter"]
    while played.forward(late.addresses):
        found += [e for e in late.feed(played.moment()) if e.kind == "trap_enter"]
    ticks = [event for event in found if event.fields["scause"] == TIMER]
    assert len(ticks) == 6
    assert ticks[dump.tick - 1].thread == dump.current["id"]
    assert {event.fields["cause"] for event in ticks} == {causes.describe(TIMER or 0)}
