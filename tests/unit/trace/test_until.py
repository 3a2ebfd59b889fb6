"""When a recording ends."""

import pytest

from rcdbg.errors import UsageError
from rcdbg.trace.until import Countdown, parse_until
from tests.unit.trace.events import event, story


@pytest.mark.parametrize(
    ("text", "seq"),
    [
        ("7", 7),
        ("1", 1),
        ("switch:to=2", 8),
        ("trap_enter:cause=timer:3", 13),
        ("200us", 9),
        ("0.0003s", 13),
        ("4500t", 21),
        ("console:done", 22),
    ],
)
def test_it_ends_with_the_event_that_was_asked_for(text: str, seq: int) -> None:
    until = Countdown(parse_until(text))
    assert next(one.seq for one in story().events if until.reached(one)) == seq


def test_time_is_in_ticks_of_the_guest() -> None:
    assert parse_until("2s").after_ticks == 20_000_000
    assert parse_until("1.5ms", 1000).after_ticks == 1
    assert parse_until("77t").after_ticks == 77


def test_without_a_clock_time_never_comes() -> None:
    assert not Countdown(parse_until("1t")).reached(event("wake", ticks=None))


@pytest.mark.parametrize("text", ["", "0", "-3", "5 h", "3m", "switch:too=1", "soon"])
def test_nonsense_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(UsageError, match="--until"):
        parse_until(text)
