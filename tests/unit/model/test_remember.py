"""Nothing is decoded twice at one moment, and nothing is remembered any longer than that."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from inspect import unwrap
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from rcdbg.errors import TargetError
from rcdbg.guest.protocol import Ram, Registers, Target
from rcdbg.guest.snapshot import Snapshot, read_snapshot
from rcdbg.image.elf import Image, image_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory import mappings, table_aliases, table_lint, table_walks
from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.memory.page_table import read_page_table
from rcdbg.model.remember import once_a_moment
from rcdbg.model.threads import processor, thread, unwind
from rcdbg.model.threads.call_stacks import read_hart_stack
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv import pte
from rcdbg.riscv.paging import SV39, Satp
from rcdbg.riscv.table_listing import Listing
from rcdbg.subjects.report import read_report
from rcdbg.subjects.table import subject
from tests.support.fake_target import FakeTarget
from tests.unit.model.kernels import kernel_of
from tests.unit.model.tables import PAGE, Tables
from tests.unit.model.test_frame_owners import written

SNAPSHOTS = sorted((Path(__file__).resolve().parents[2] / "snapshots").glob("*.snap"))


class Counting:
    """A target that counts how often each whole page is read."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.pages: Counter[int] = Counter()

    @property
    def ram(self) -> Ram | None:
        return self._target.ram

    def read_phys(self, address: int, size: int) -> bytes:
        if size == PAGE:
            self.pages[address] += 1
        return self._target.read_phys(address, size)

    def registers(self) -> Registers:
        return self._target.registers()


@contextmanager
def calls(*functions: Callable[..., Any]) -> Iterator[Counter[str]]:
    """How often each of the functions is called, by name."""
    codes = {unwrap(f).__code__: f.__name__ for f in functions}
    found: Counter[str] = Counter()

    def see(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in codes:
            found[codes[frame.f_code]] += 1

    sys.setprofile(see)
    try:
        yield found
    finally:
        sys.setprofile(None)


@cache
def opened(path: Path) -> tuple[Image, Snapshot]:
    snapshot = read_snapshot(path)
    return image_of(snapshot.elf, Path(snapshot.kernel_name)), snapshot


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_show_all_decodes_nothing_twice(path: Path) -> None:
    image, snapshot = opened(path)
    target = Counting(snapshot.target)
    kernel = Kernel.now(image, target)
    with calls(thread.read_thread, unwind._unwind) as counted:
        subject("all").answer(kernel)
    threads = processor.read_processor(kernel).threads
    assert threads
    assert counted["read_thread"] == len(threads)
    assert counted["_unwind"] == 1, "the trap's call stack"
    tables = {table.address for table in table_walks.listing(kernel, kernel.memory.satp).tables}
    assert len(tables) > 1
    assert {target.pages[address] for address in tables} == {1}
    sets = read_report(kernel).beside["memoryset"].sets
    assert all(item.root_ppn << 12 in tables or not item.active for item in sets
               if item.root_ppn is not None)  # fmt: skip


def test_all_questions_about_a_table_walk_it_once() -> None:
    world = written(3)
    kernel = kernel_of(world, world.plan.root)
    target = Counting(kernel.target)
    kernel = replace(kernel, target=target)
    owners = read_frame_owners(kernel)
    table = read_page_table(kernel)
    table_aliases.read_aliases(kernel)
    mappings.virtuals(kernel, 0)
    table_lint.lint(kernel)
    assert owners.spaces
    assert table.ranges
    assert {target.pages[frame * PAGE] for frame in world.plan.tables} == {1}


def test_a_stack_is_followed_once_for_the_trap_and_for_the_call_stack() -> None:
    image, snapshot = opened(SNAPSHOTS[0])
    kernel = Kernel.now(image, snapshot.target)
    with calls(unwind._unwind) as counted:
        found = read_hart_stack(kernel)
    assert counted["_unwind"] == 1
    short = unwind.backtrace_now(Kernel.now(image, snapshot.target), 2)
    assert [f.pc for f in short.frames] == [f.pc for f in found.backtrace.frames[:2]]
    assert len(found.backtrace.frames) > 2
    assert short.note == "only the first 2 stack frames were followed"


def test_a_moment_is_one_kernel() -> None:
    tables = Tables()
    tables.map(0x1000, 0x9000_0000, pte.R)
    before = tables.kernel()
    assert [r.rights for r in read_page_table(before).ranges] == ["r----"]
    tables.map(0x1000, 0x9000_0000, pte.R | pte.W)
    assert [r.rights for r in read_page_table(tables.kernel()).ranges] == ["rw---"]
    assert [r.rights for r in read_page_table(before).ranges] == ["r----"]
    other = FakeTarget({a: bytes(p) for a, p in tables.pages.items()}, before.registers)
    moved = replace(before, target=other)
    assert [r.rights for r in read_page_table(moved).ranges] == ["rw---"]
    assert replace(before) == before, "what is remembered is no part of what it is"


def test_errors_are_remembered_and_a_machine_that_is_gone_is_not() -> None:
    asked = []

    @once_a_moment
    def broken(kernel: Kernel, number: int) -> int:
        asked.append(number)
        if number > 1:
            raise TargetError("gone")
        raise DecodeError("there", f"number {number}")

    kernel = Tables().kernel()
    for number in (0, 0, 1, 0):
        with pytest.raises(DecodeError, match=f"there: number {number}"):
            broken(kernel, number)
    assert asked == [0, 1]
    for _ in range(2):
        with pytest.raises(TargetError):
            broken(kernel, 2)
    assert asked == [0, 1, 2, 2]


def test_a_walk_that_was_broken_off_is_made_anew() -> None:
    tables = Tables()
    for number in range(4):
        tables.map(number << 30, number << 30, pte.R, level=2)
    read = tables.kernel().target.read_phys
    satp = tables.kernel().memory.satp
    fails = [True]

    def interrupted(address: int, size: int) -> bytes:
        if fails:
            fails.pop()
            raise KeyboardInterrupt
        return read(address, size)

    walk = Listing(interrupted, satp)
    with pytest.raises(KeyboardInterrupt):
        list(walk)
    assert len(list(walk)) == len(list(Listing(read, satp))) > 0
    assert len(walk.tables) == 1


def test_not_more_is_kept_than_a_moment_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_walks, "MAX_KEPT", 1)
    tables = Tables()
    second = tables.new_table()
    tables.map(0x1000, 0x9000_0000, pte.R)
    tables.map(0x1000, 0x9000_0000, pte.R, root=second)
    kernel = tables.kernel()
    satp = kernel.memory.satp
    first = table_walks.listing(kernel, satp)
    assert table_walks.listing(kernel, Satp.of(SV39, tables.root, asid=7)) is first
    assert len(list(first)) == 1
    table_walks.listing(kernel, satp.other(second))
    assert len(list(table_walks.listing(kernel, satp.other(second)))) == 1
    assert table_walks.listing(kernel, satp) is first, "room for one more run"
    table_walks.listing(kernel, satp.other(0))
    assert table_walks.listing(kernel, satp) is not first
