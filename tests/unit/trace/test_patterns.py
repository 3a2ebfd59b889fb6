"""Saying which events are meant."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.errors import RcdbgError, UsageError
from rcdbg.trace import patterns
from rcdbg.trace.kinds import KINDS
from rcdbg.trace.patterns import pattern
from rcdbg.trace.record import TraceEvent
from tests.unit.trace.events import event, trap

TICK = trap(1, 10, 3)
FAULT = trap(2, 20, 3, "load page fault")
TO_3 = event("switch", from_=2, to=3, why="timer")
START = event("switch", from_=None, to=3, why="start")
LINE = event("console", thread=2, text="mapped 12 pages, done")
HIT = event("hit", thread=1, symbol="os::memory::Mapping::map_one",
            arguments={"page": 4096, "name": "stack"})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "made", "yes", "no"),
    [
        ("switch:to=3", patterns.switch(to=3), TO_3, event("switch", from_=3, to=2, why="timer")),
        ("switch:from=none", patterns.switch(from_=None), START, TO_3),
        ("switch:to=3,why=timer", patterns.switch(3, why="timer"), TO_3, START),
        ("trap_enter:timer", patterns.trap_enter("timer"), TICK, FAULT),
        ("trap_enter:cause=load_page_fault", patterns.trap_enter("Load page"), FAULT, TICK),
        ("trap_enter:interrupt=false", patterns.trap_enter(interrupt=False), FAULT, TICK),
        ("trap_enter:thread=3", patterns.trap_enter(thread=3), TICK, trap(1, 1, 2)),
        ("console:pages", patterns.console("pages"), LINE, event("console", text="page")),
        ("console:12 pages, done", patterns.console("pages, done"), LINE,
         event("console", text="12 pages")),
        (r"console:/mapped \d+/", patterns.console(re.compile(r"mapped \d+")), LINE,
         event("console", text="mapped none")),
        ("hit:map_one", patterns.hit("Mapping::map_one"), HIT,
         event("hit", symbol="os::map_one_more", arguments={})),
        ("hit:symbol=os::memory::Mapping::map_one,page=0x1000",
         patterns.hit("map_one", page=lambda page: page >= 4096), HIT,
         event("hit", symbol="os::memory::Mapping::map_one", arguments={"page": 1})),
        ("any:place=__interrupt", patterns.event(place="__interrupt"), TICK, TO_3),
        ("any:place=handler", patterns.event(place="handler+0x4"), TO_3, TICK),
        ("frame_alloc:none", patterns.frame_alloc(None), event("frame_alloc", ppn=None),
         event("frame_alloc", ppn=1)),
    ],
)  # fmt: skip
def test_text_and_code_say_the_same(
    text: str, made: patterns.Pattern, yes: TraceEvent, no: TraceEvent
) -> None:
    for one in (pattern(text), made):
        assert one.matches(yes)
        assert not one.matches(no)


def test_the_nth_one() -> None:
    assert pattern("trap_enter:cause=timer:5").times == 5
    assert pattern("trap_enter:5") == patterns.Pattern("trap_enter", {}, 5)
    assert pattern("hit:symbol=os::f").times == 1


def test_one_of_several() -> None:
    either = patterns.switch(to=3) | patterns.trap_enter("timer") | patterns.wake()
    assert [either.matches(one) for one in (TO_3, TICK, FAULT)] == [True, True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_meant_by_its_name(kind: str) -> None:
    assert pattern(kind).matches(event(kind))


def test_what_it_says_means_the_same_again() -> None:
    for one in (patterns.switch(to=3), patterns.console(re.compile("a+")), pattern("wake:2:7")):
        assert str(pattern(str(one))) == str(one)


@pytest.mark.parametrize(
    "text",
    ["", "swich", "switch:too=3", "switch:to=", "console:/(/", "trap_enter:0", "any:3x",
     "wake:1,2=3=4:9999999999999", "switch:to=1,to=2"],
)  # fmt: skip
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        pattern(text)


@given(st.text(max_size=40) | st.builds(lambda k, t: f"{k}:{t}", st.sampled_from(list(KINDS)),
                                        st.text("abto=,:/0129(", max_size=20)))  # fmt: skip
def test_any_text_is_a_pattern_or_a_usage_error(text: str) -> None:
    try:
        made = pattern(text)
    except RcdbgError:
        return
    made.matches(TICK)
    made.matches(HIT)
