"""Whether the guest runs, as the keys and the screen are told."""

from hypothesis import given
from hypothesis import strategies as st

from rcdbg.tui.course import STEPS, Event, GuestCourse, State, following
from rcdbg.tui.session import Move

EVENTS_OF_A_GUEST = (Event.RUN, Event.STAND, Event.END)


def activity(course: GuestCourse) -> str:
    return course.activity


def at_the_first_stop() -> GuestCourse:
    course = GuestCourse()
    course.run()
    course.show(course.stand())
    return course


def test_from_the_start_to_the_first_stop_and_on() -> None:
    course = GuestCourse()
    assert activity(course) == "starting"
    course.run()
    assert activity(course) == "running"
    moment = course.stand()
    assert (course.state, activity(course)) == (State.ARRIVED, "running"), "nothing is shown yet"
    assert course.show(moment) is None, "no move of the user led there"
    assert (course.state, activity(course)) == (State.STOPPED, "stopped")
    assert course.ask(Move.RESUME)
    assert activity(course) == "running", "asked for, though gdb has not said so"
    course.run()
    assert course.show(course.stand()) is Move.RESUME
    assert course.stops == 2
    assert course.surprises == []


def test_nothing_is_asked_for_twice() -> None:
    course = at_the_first_stop()
    assert course.ask(Move.RESUME)
    assert not course.ask(Move.RESUME)
    course.run()
    assert not course.ask(Move.STEP_LINE)
    assert course.take_ahead() is None


def test_one_step_is_kept_during_another_and_no_more() -> None:
    course = at_the_first_stop()
    assert course.ask(Move.STEP_LINE)
    for _ in range(3):
        assert not course.ask(Move.NEXT_LINE)
        assert course.steps_on(Move.NEXT_LINE)
    course.run()
    moment = course.stand()
    assert not course.ask(Move.STEP_INSTRUCTION), "the stop is not on the screen yet"
    assert course.show(moment) is Move.STEP_LINE
    assert course.take_ahead() is Move.STEP_INSTRUCTION
    assert course.take_ahead() is None


def test_an_interrupt_gives_up_the_step_that_was_kept() -> None:
    course = at_the_first_stop()
    course.ask(Move.STEP_LINE)
    course.ask(Move.STEP_LINE)
    course.interrupt()
    course.run()
    assert course.state is State.INTERRUPTING, "gdb did not hear of it before the guest ran"
    course.show(course.stand())
    assert course.take_ahead() is None


def test_a_move_that_fails_leaves_the_guest_where_it_is() -> None:
    course = at_the_first_stop()
    moment = course.moment
    course.ask(Move.FINISH)
    course.refuse()
    assert course.state is State.STOPPED
    assert course.moment == moment
    assert course.ask(Move.FINISH)


def test_an_old_look_at_the_guest_changes_nothing() -> None:
    course = at_the_first_stop()
    moment = course.moment
    course.ask(Move.STEP_LINE)
    assert course.show(moment) is None
    assert course.state is State.ASKED, "a second look at the stop before"
    course.run()
    course.show(moment)
    assert activity(course) == "running"
    newer = course.stand()
    course.show(moment)
    assert activity(course) == "running"
    course.end()
    course.show(newer)
    assert course.activity == "exited", "it died while it was being read"
    assert course.surprises == []


def test_what_the_old_machine_says_during_a_restart_counts_no_more() -> None:
    course = at_the_first_stop()
    course.ask(Move.RESUME)
    course.run()
    course.leave()
    stale = course.stand()
    course.end()
    assert (course.activity, course.stops) == ("starting", 1)
    course.boot()
    assert course.stops == 0
    course.run()
    course.show(stale)
    assert course.state is State.RUNNING
    assert course.surprises == []


def test_a_console_command_can_be_interrupted_though_the_guest_stands() -> None:
    course = at_the_first_stop()
    assert not course.interruptible
    course.command_begins()
    assert course.console_is_busy
    assert course.interruptible
    course.command_ends()
    assert not course.interruptible


def test_what_cannot_happen_changes_nothing_and_is_told_of() -> None:
    course = GuestCourse()
    course.leave()
    assert (course.state, course.moment) == (State.STARTING, 0)
    assert course.surprises == [(State.STARTING, Event.LEAVE)]


def test_gdb_may_tell_anything_of_a_guest_that_is_there() -> None:
    gone = {State.ENDED, State.LEAVING}
    for state in set(State) - gone:
        for event in EVENTS_OF_A_GUEST:
            assert following(state, event) is not None, f"{event} in {state}"


def test_every_state_can_be_come_to_and_a_restart_leads_out_of_it() -> None:
    reached = {State.STARTING}
    while more := {n for s in reached for e in Event if (n := following(s, e))} - reached:
        reached |= more
    assert reached == set(State)
    for state in set(State) - {State.STARTING, State.LEAVING}:
        assert following(state, Event.LEAVE) is State.LEAVING


@given(st.lists(st.sampled_from(["run", "stand", "end", "interrupt", "refuse", *Move])))
def test_a_guest_is_asked_to_run_only_where_it_stands_as_shown(events: list[str]) -> None:
    course = at_the_first_stop()
    for event in events:
        before = course.state
        if isinstance(event, Move):
            assert course.ask(event) == (before is State.STOPPED)
        else:
            getattr(course, event)()
        ahead = course.take_ahead()
        assert ahead is None or ahead in STEPS
