"""Rules for recorded events: runs that are made up, each with one fault, and sound ones near it."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Finding, Severity
from rcdbg.doctor.rules.course import disorder, disorders
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.kept import kernel_in
from rcdbg.model.kernel import Kernel
from rcdbg.trace.record import TraceEvent

SNAPSHOT = Path(__file__).resolve().parents[2] / "snapshots" / "three-threads-preempted.snap"
TIMER, ECALL, STORE = 1 << 63 | 5, 8, 15
PLACE = 0xFFFF_FFFF_8020_0040


@cache
def kernel() -> Kernel:
    return kernel_in(SNAPSHOT, NOTHING)


def event(seq: int, kind: str, ticks: int, **fields: Any) -> TraceEvent:
    return TraceEvent(seq, kind, ticks, None, 0, 1, PLACE, "", fields)


def enter(
    scause: int, sepc: int = PLACE, *, privilege: str = "S", depth: int = 1
) -> dict[str, Any]:
    return {
        "kind": "trap_enter", "cause": "a cause", "scause": scause, "interrupt": scause >> 63 == 1,
        "sepc": sepc, "sepc_place": "f+0x4", "stval": 0, "privilege": privilege, "depth": depth,
    }  # fmt: skip


def leave(sepc: int, *, depth: int = 1) -> dict[str, Any]:
    return {"kind": "trap_leave", "sepc": sepc, "privilege": "S", "depth": depth}


def course(steps: Sequence[dict[str, Any]], apart: int = 100_000) -> tuple[TraceEvent, ...]:
    return tuple(
        event(i + 1, step["kind"], i * apart, **{k: v for k, v in step.items() if k != "kind"})
        for i, step in enumerate(steps)
    )


def found(events: Sequence[TraceEvent]) -> dict[str, Finding]:
    return {one.code: one for one in disorders(Examination(kernel(), events))}


SOUND = [enter(TIMER), leave(PLACE), enter(ECALL, privilege="U"), leave(PLACE + 4)] * 10


def test_nothing_is_found_in_a_sound_run() -> None:
    assert not found(course(SOUND))
    assert not found(())


def test_the_first_one_is_told_and_the_later_ones_below_it() -> None:
    faults = [enter(STORE), enter(STORE, PLACE + 8, depth=2), *[enter(13, depth=3)] * 5]
    finding = found(course([*SOUND, *faults]))["RC0214"]
    assert finding.first_seen == len(SOUND)
    assert "f+0x4" in finding.title
    assert f"number {len(SOUND) + 1} of {len(SOUND) + 7}" in finding.title
    assert finding.evidence[-1].text == "and 2 more of them"
    assert finding.severity is Severity.WARNING


def test_what_programs_do_wrong_is_in_order() -> None:
    for cause in (2, 12, 13, 15):
        assert not found(course([*SOUND, enter(cause, privilege="U"), leave(PLACE)]))


def test_an_interrupt_in_a_handler_is_not_where_all_traps_share_a_stack() -> None:
    (nested,) = course([enter(TIMER, depth=2)])
    assert disorder(nested, kernel().description)
    (alone,) = course([enter(TIMER)])
    assert not disorder(alone, kernel().description)


def test_a_panic_is_out_of_order_and_has_a_rule_of_its_own() -> None:
    panic = event(1, "hit", 0)
    assert disorder(panic, kernel().description) == "the kernel panics"
    assert not found((panic,))


def test_a_kernel_that_returns_to_its_ecall() -> None:
    again = [enter(ECALL, privilege="U"), leave(PLACE)]
    finding = found(course([*SOUND, *again * 5]))["RC0215"]
    assert finding.is_grave
    # In a loop around one ecall it comes back to the same place, from behind it.
    assert not found(course([enter(ECALL, privilege="U"), leave(PLACE + 4)] * 9))
    # Once may be another thread that was interrupted right before it.
    assert not found(course([*SOUND, *again, *SOUND]))


def test_a_storm_is_one_by_its_rate() -> None:
    storm = [enter(TIMER), leave(PLACE)] * 60
    assert "RC0216" in found(course(storm, apart=100))
    # A hart that waits is interrupted at the same place, tick by tick.
    assert not found(course(storm, apart=50_000))
    elsewhere = [step for i in range(60) for step in (enter(TIMER, PLACE + 4 * i), leave(PLACE))]
    assert not found(course(elsewhere, apart=100))


def test_a_breakpoint_that_is_stepped_over_by_the_wrong_length() -> None:
    """The kernel's own code says how long the instruction is: its lowest two bits."""
    start = kernel().symbol("handle_interrupt")
    assert start is not None
    code = kernel().image.read(start, 2)
    assert code is not None
    right = 4 if code[0] & 3 == 3 else 2
    assert not found(course([enter(3, start), leave(start + right)]))
    assert found(course([enter(3, start), leave(start + 6 - right)]))["RC0212"].is_grave
