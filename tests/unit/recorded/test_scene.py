"""Whose moment it is, by the stacks and tables that the kernel itself prints."""

import pytest

from rcdbg.errors import UsageError
from rcdbg.image.resolve import resolve
from rcdbg.kernels.reading import NOTHING
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.probes import plan
from rcdbg.trace.observers.scene import Scene, csr_value
from tests.support.dump import Dump, parse_dump
from tests.support.recordings import Played, image, recorded
from tests.unit.recorded.runs import HANDLER, handled

KINDS = ("trap_enter", "console")


def scene_of(played: Played) -> Scene:
    """What would be known at that moment, had nothing been seen before it."""
    satp = played.registers().csrs["satp"]
    return Scene(image(), NOTHING, plan(image(), NOTHING, KINDS), played, satp)


@pytest.fixture
def at_a_tick() -> tuple[Played, Dump]:
    dump = parse_dump(recorded("preempt").console)
    return handled("preempt", dump.tick), dump


def stacks(dump: Dump) -> dict[int, tuple[int, int]]:
    """The stacks of all threads, as printed."""
    assert dump.current is not None
    return {row["id"]: row["stack"] for row in (dump.current, *dump.ready)}


def test_a_stack_pointer_belongs_to_whose_stack_it_is_in(at_a_tick: tuple[Played, Dump]) -> None:
    played, dump = at_a_tick
    scene, moment = scene_of(played), played.moment()
    assert sorted(stacks(dump)) == [1, 2, 3]
    for number, (start, end) in stacks(dump).items():
        for sp in (end, end - 8, start + 8):
            found = scene.by_stack(sp, moment)
            assert found is not None
            assert (found.id, found.start, found.end) == (number, start, end)
        below = scene.by_stack(start, moment)
        assert below is None or below.id != number, "an overflow is nobody's"
    assert scene.by_stack(0x10, moment) is None


def test_who_was_interrupted_is_whose_trap_it_is(at_a_tick: tuple[Played, Dump]) -> None:
    played, dump = at_a_tick
    scene, moment = scene_of(played), played.moment()
    assert dump.current is not None
    scene.join(moment)
    assert [trap.thread.id for trap in scene.traps if trap.thread] == [dump.current["id"]]
    assert scene.traps[0].scause == csr_value(moment, "scause")
    thread = scene.thread(moment)
    assert thread is not None
    assert thread.id == dump.current["id"], "also on the stack on which the trap is handled"


def test_the_trap_stack_is_the_static_of_that_name(at_a_tick: tuple[Played, Dump]) -> None:
    played, dump = at_a_tick
    scene = scene_of(played)
    symbol = next(s for s in image().symbols if s.path.endswith("KERNEL_STACK"))
    low, high = symbol.address, symbol.address + symbol.size
    assert scene.on_trap_stack(high)
    assert scene.on_trap_stack(low + 8)
    assert not scene.on_trap_stack(low)
    assert not scene.on_trap_stack(high + 8)
    assert scene.on_trap_stack(played.registers().sp), "a handler runs there"
    assert not any(scene.on_trap_stack(end) for _, end in stacks(dump).values())
    assert scene.is_static(low) or image().read(low, 1) is None, "what has no bytes in the file"
    assert not scene.is_static(0x1000)


def test_the_root_table_is_that_of_satp(at_a_tick: tuple[Played, Dump]) -> None:
    played, dump = at_a_tick
    scene = scene_of(played)
    assert scene.root == dump.satp & (1 << 44) - 1
    scene.satp = 0
    assert scene.root is None


def test_events_are_numbered_wanted_and_of_a_time_that_never_goes_back(
    at_a_tick: tuple[Played, Dump],
) -> None:
    played, _ = at_a_tick
    scene, registers = scene_of(played), played.registers()
    for ticks in (100, 50, None):
        moment = Moment(registers, ticks)
        scene.clock(ticks)
        scene.emit("console", moment, {"text": "a line"}, 7, ("once", "once"))
        scene.emit("satp", moment, {"mode": "Bare", "root_ppn": 0})
    told = scene.take()
    assert [(e.seq, e.kind, e.ticks, e.thread) for e in told] == [
        (1, "console", 100, 7), (2, "console", 100, 7), (3, "console", None, 7)
    ]  # fmt: skip
    assert {event.marks for event in told} == {("once",)}
    assert {event.place for event in told} == {"handle_interrupt+0x0"}
    assert scene.take() == []


def test_addresses_by_their_symbols(at_a_tick: tuple[Played, Dump]) -> None:
    scene = scene_of(at_a_tick[0])
    handler = resolve(image(), HANDLER)
    assert (scene.symbol(handler) or "").endswith("handle_interrupt")
    assert (scene.symbol(handler + 4) or "").endswith("handle_interrupt+0x4")
    assert scene.symbol(0x10) is None


def test_what_is_looked_for_may_change_and_what_is_known_stays(
    at_a_tick: tuple[Played, Dump],
) -> None:
    played, dump = at_a_tick
    scene = scene_of(played)
    scene.join(played.moment())
    place = resolve(image(), "spin_with_pattern")
    assert place not in scene.probes
    with pytest.raises(UsageError, match="no_such_function"):
        scene.look_for(plan(image(), NOTHING, ("hit",), ("no_such_function",)))
    scene.look_for(plan(image(), NOTHING, ("hit",), ("spin_with_pattern",)))
    assert [probe.what for probe in scene.probes[place]] == ["hit"]
    assert scene.running is not None
    assert dump.current is not None
    assert scene.running.id == dump.current["id"]
