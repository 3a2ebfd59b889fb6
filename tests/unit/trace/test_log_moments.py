"""Which of the states in QEMU's log are moments of the kernel."""

from dataclasses import replace

from rcdbg.trace.moment import Moment
from rcdbg.trace.recorders.firmware import Firmware
from rcdbg.trace.recorders.log_format import HartState, Interrupt, Item, NotExecuted
from rcdbg.trace.recorders.log_moments import MomentMaker, Watched
from tests.unit.trace.test_log_format import STATE, items

FIRMWARE = Firmware(0x80000408, 0xF0B509, 0x1666, "")
VECTOR, FUNCTION, CALL = 0xFFFFFFFF8020A64C, 0xFFFFFFFF80201000, 0xFFFFFFFF8020D64C
WATCHED = Watched(
    frozenset({VECTOR, FUNCTION, CALL}), frozenset({CALL}), VECTOR, FIRMWARE, 0x80200000
)
TIMER, MACHINE_TIMER = (
    Interrupt(0, True, 5, FUNCTION + 8, 0),
    Interrupt(0, True, 7, FUNCTION, 0),
)
FETCH_FAULT = Interrupt(0, False, 12, 0x1234, 0x1234)
ILLEGAL = Interrupt(0, False, 2, FUNCTION + 4, 0)
SET_TIMER = 0


def state(pc: int, **others: int) -> HartState:
    """QEMU's sample with another pc and other registers."""
    (sample,) = items(STATE.encode())
    assert isinstance(sample, HartState)
    values = list(sample.values)
    for name, value in {"pc": pc, **others}.items():
        values[sample.layout.names.index(name)] = value
    return sample._replace(values=tuple(values))


def moments(*log: Item, maker: MomentMaker | None = None) -> list[Moment]:
    maker = maker or MomentMaker(WATCHED)
    found = [m for ticks, item in enumerate(log) for m in maker.see(item, ticks)]
    return found + list(maker.end())


def places(*log: Item) -> list[int]:
    return [m.registers.pc for m in moments(*log)]


def test_a_block_that_was_left_is_no_moment() -> None:
    maker = MomentMaker(WATCHED)
    log = (state(FUNCTION), NotExecuted(FUNCTION), MACHINE_TIMER, state(FUNCTION), TIMER)
    assert [m.registers.pc for m in moments(*log, maker=maker)][:1] == [FUNCTION]
    assert maker.repeats == 1


def test_a_loop_that_changes_no_register_is_seen_each_time() -> None:
    assert places(state(FUNCTION), state(FUNCTION), state(FUNCTION)) == [FUNCTION] * 3


def test_an_interrupt_right_at_the_next_round_takes_nothing_away() -> None:
    assert places(state(FUNCTION), MACHINE_TIMER, state(FUNCTION)) == [FUNCTION] * 2


def test_an_ecall_is_seen_where_the_kernel_has_it() -> None:
    (moment,) = moments(state(FIRMWARE.mtvec))
    registers = moment.registers
    assert (registers.pc, registers.privilege) == (CALL, 1)
    # `mstatus  8000000a00006800` in the sample: MPP, FS and SD, the last two of which S-mode sees.
    assert registers.csrs["sstatus"] == 0x8000000200006000


def test_other_traps_of_the_firmware_are_not_the_kernels() -> None:
    assert places(ILLEGAL, state(FIRMWARE.mtvec, mcause=2), state(FUNCTION)) == [FUNCTION]
    assert places(state(FIRMWARE.mtvec, mepc=CALL + 4)) == []
    assert places(MACHINE_TIMER, state(FIRMWARE.mtvec, mcause=1 << 63 | 7)) == []


def test_a_trap_is_one_moment() -> None:
    assert places(TIMER, state(VECTOR)) == [VECTOR]
    # Not delegated: the firmware hands it on.
    assert places(ILLEGAL, state(FIRMWARE.mtvec, mcause=2), state(VECTOR)) == [VECTOR]


def test_a_trap_that_does_not_reach_the_vector_is_told_by_its_line() -> None:
    first, second = moments(FETCH_FAULT, FETCH_FAULT)
    assert first == replace(second, ticks=0)
    assert first.registers.pc == VECTOR
    assert first.registers.csrs == {"scause": 12, "sepc": 0x1234, "stval": 0x1234}
    (timer, function) = moments(TIMER, state(FUNCTION))
    assert timer.registers.csrs["scause"] == 1 << 63 | 5
    assert function.registers.pc == FUNCTION


def test_traps_inside_the_firmware_are_its_own() -> None:
    assert moments(Interrupt(0, False, 12, 0x80000100, 0)) == []


def test_memory_is_never_said_to_be_as_it_was() -> None:
    (moment,) = moments(state(FUNCTION))
    assert not moment.memory_is_current()


def test_bound_time_is_that_of_timers_that_expired() -> None:
    maker = MomentMaker(WATCHED, bound=True)
    armed = state(FIRMWARE.mtvec, x17=SET_TIMER, x10=5000)
    again = state(FIRMWARE.mtvec, x17=0x54494D45, x16=0, x10=7000)
    log = (state(FUNCTION), armed, state(FUNCTION), MACHINE_TIMER, TIMER, state(VECTOR))
    more = (again, state(FUNCTION), MACHINE_TIMER, TIMER, state(VECTOR))
    found = [m.ticks for m in moments(*log, *more, maker=maker)]
    assert found == [0, 0, 0, 5000, 5000, 5000, 7000]


def held(still: bool = True) -> MomentMaker:
    return MomentMaker(WATCHED, held=lambda: lambda: still)


def test_a_state_that_holds_the_hart_is_a_moment_at_once() -> None:
    maker = held()
    (moment,) = maker.see(state(FUNCTION), 5)
    assert (moment.registers.pc, moment.ticks) == (FUNCTION, 5)
    assert moment.memory_is_current()
    assert moment.same_thread_runs()
    assert list(maker.end()) == []
    (moment,) = held(still=False).see(state(FUNCTION), 5)
    assert not moment.memory_is_current()
    assert not moment.same_thread_runs()


INTERRUPTED = (state(FUNCTION), NotExecuted(FUNCTION), TIMER, state(VECTOR))


def test_the_same_instant_after_an_interrupt_is_no_second_one() -> None:
    maker = held()
    log = (*INTERRUPTED, state(FUNCTION, sepc=FUNCTION, scause=5, mstatus=0), state(FUNCTION))
    # What follows it is a second call with the same registers.
    assert [m.registers.pc for m in moments(*log, maker=maker)] == [FUNCTION, VECTOR, FUNCTION]
    assert maker.repeats == 1


def test_another_thread_at_the_same_place_is_another_instant() -> None:
    maker = held()
    log = (*INTERRUPTED, state(FUNCTION, x2=0x1000), state(FUNCTION))
    assert [m.registers.x[2] for m in moments(*log, maker=maker)][2:] == [0x1000]
    assert maker.repeats == 1


def test_a_register_that_the_trap_has_lost_is_seen() -> None:
    maker = held()
    found = moments(*INTERRUPTED, state(FUNCTION, x9=0xBAD), maker=maker)
    assert [m.registers.pc for m in found] == [FUNCTION, VECTOR, FUNCTION]
    assert found[-1].registers.x[9] == 0xBAD
    assert maker.repeats == 0


def test_a_state_that_is_left_again_and_again_is_one_instant() -> None:
    maker = held()
    log = (state(FUNCTION), NotExecuted(FUNCTION)) * 3
    assert [m.registers.pc for m in moments(*log, state(FUNCTION), maker=maker)] == [FUNCTION]
    assert maker.repeats == 3


def test_a_trap_that_holds_nobody_has_no_memory() -> None:
    (trap, function) = moments(FETCH_FAULT, state(FUNCTION), maker=held())
    assert (trap.registers.pc, trap.memory_is_current()) == (VECTOR, False)
    assert (function.registers.pc, function.memory_is_current()) == (FUNCTION, True)
