"""Places in programs: what is typed, where they may be, and whether the hart is there."""

from dataclasses import replace

import pytest

from rcdbg.errors import UsageError
from rcdbg.model.programs.places import UserPlace, user_place
from rcdbg.trace.conditions import place, reached
from tests.unit.model.test_user_code import FIRST, SECOND, START, Machine, offset_of

MAIN = START + offset_of("main")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello:main", UserPlace("hello", "main")),
        ("3:main", UserPlace("3", "main")),
        ("3:0x10000", UserPlace("3", "0x10000")),
        ("00power_3:user_lib::exit", UserPlace("00power_3", "user_lib::exit")),
        ("hello:src/bin/hello.rs:12", UserPlace("hello", "src/bin/hello.rs:12")),
        ("handle_interrupt", None),
        ("handle_interrupt:3", None),
        ("os::trap::trap_handler", None),
        ("<os::A as os::B>::c", None),
        ("trap.c:38", None),
        (":main", None),
        ("hello:", None),
        ("handle_interrupt:-1", None),
    ],
)
def test_what_is_typed(text: str, expected: UserPlace | None) -> None:
    assert user_place(text) == expected


def test_where_it_may_be() -> None:
    image = Machine().image
    assert UserPlace("hello", "main").addresses(image) == (MAIN,)
    # Of a process that is not there yet it may be in any program: here both have it at one place.
    assert UserPlace("3", "main").addresses(image) == (MAIN,)
    assert UserPlace("3", "0x10").addresses(image) == (0x10,)
    for place_, why in (
        (UserPlace("nobody", "main"), "no program is called 'nobody': known are hello, power"),
        (UserPlace("hello", "mian"), "has no place 'mian'; did you mean main"),
        (UserPlace("3", "0x"), "is no address"),
        (UserPlace("3", "0x10000000000000000"), "no 64-bit|not a 64-bit"),
    ):
        with pytest.raises(UsageError, match=why):
            place_.addresses(image)


def test_it_counts_in_its_own_program_alone() -> None:
    machine = Machine()
    hello = UserPlace("hello", "main")
    assert hello.is_here(machine.kernel(FIRST, MAIN))
    assert not hello.is_here(machine.kernel(SECOND, MAIN))
    own = machine.kernel(FIRST, MAIN)
    in_the_kernel = replace(own, registers=replace(own.registers, privilege=1))
    assert not hello.is_here(in_the_kernel)


def test_its_third_time_is_counted_in_its_own_program() -> None:
    machine = Machine()
    condition = place("hello:main:2", machine.image)
    assert str(condition) == "hello:main:2"
    assert condition.places(machine.image, machine.kernel().description) == (MAIN,)
    roots = (SECOND, FIRST, SECOND, FIRST)
    seen = [condition.happened(machine.kernel(root, MAIN)) for root in roots]
    assert seen == [False, False, False, True]
    assert not reached("power:main").happened(machine.kernel(FIRST, MAIN))


def test_a_process_that_is_not_there_is_not_here() -> None:
    assert not UserPlace("7", "main").is_here(Machine().kernel(FIRST, MAIN))
