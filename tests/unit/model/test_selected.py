"""A thread that questions are about, though another one runs, in a kernel that is made up."""

import pytest

from rcdbg.errors import UsageError
from rcdbg.model.threads.selected import is_on_the_hart, read_task_trap, select, task_root
from rcdbg.subjects import questions
from rcdbg.subjects.page_tables import root, table
from rcdbg.subjects.subject import Asked
from rcdbg.subjects.table import TASK
from rcdbg.words import Given
from tests.unit.model.tasks import CODE, CONTEXTS, USER_PC, USERS, Tasks


def asked(word: str, **more: str) -> Asked:
    given = {TASK: (word,), **{f"--{name}": (text,) for name, text in more.items()}}
    return Asked(Given(given), number=lambda text: int(text, 0))


def address_of(world: Tasks, number: int) -> str:
    return hex(world.behind(world.threads[number]).address)


def test_a_parked_thread_has_its_own_context_and_table() -> None:
    """Thread 20 is ready in process 2: its frame of registers and its root are known."""
    world = Tasks()
    kernel = world.kernel()
    word = address_of(world, 20)
    trap = questions.context(kernel, asked(word))
    assert trap.context is not None
    assert trap.context.address == CONTEXTS[20] << 12
    assert trap.context.sepc.address == USER_PC + 20
    assert "is not on the hart: Ready" in trap.note
    assert trap.cause is None
    assert "it starts in trap_return" in trap.note
    found = root(kernel, asked(word))
    assert found is not None
    assert found.ppn == USERS[1]
    (only,) = table(kernel, asked(word)).ranges
    assert (only.va, only.pa) == (USER_PC, CODE << 12)
    (space,) = questions.memory_sets(kernel, asked(word)).sets
    assert (space.root_ppn, space.threads) == (USERS[1], (0,))


def test_the_thread_on_the_hart_is_the_trap_itself() -> None:
    world = Tasks()
    kernel = world.kernel()
    running = select(kernel, address_of(world, 10))
    assert is_on_the_hart(kernel, running)
    assert "not on the hart" not in read_task_trap(kernel, running).note
    other = task_root(kernel, running)
    assert other is not None
    assert other.ppn == USERS[0]


def test_a_thread_that_there_is_not() -> None:
    kernel = Tasks().kernel()
    with pytest.raises(UsageError, match="no thread 77: there are"):
        select(kernel, "77")
    with pytest.raises(UsageError, match="no thread cat: there are"):
        select(kernel, "cat")
    with pytest.raises(UsageError, match="2 threads have the id 0"):
        select(kernel, "0")
    with pytest.raises(UsageError, match="name two tables"):
        root(kernel, asked("0x1", process="1"))
