"""Frames of the collections that keep their keys in order, and of pointers in C's statics."""

import pytest

from rcdbg.image.types import StructType
from rcdbg.kernels.description import Names
from rcdbg.model.values.pointers import pages_pointed_to
from rcdbg.model.values.reach import reach
from tests.unit.model.kernels import WorldOfStatics
from tests.unit.model.test_task_tables import kernel_with
from tests.unit.model.values import btree_map
from tests.unit.model.world import BASE


@pytest.mark.parametrize("count", [0, 1, 11, 12, 60, 400])
def test_every_tracker_in_a_b_tree_is_found(count: int) -> None:
    world = WorldOfStatics(count)
    tracker = world.wrapped("os::FrameTracker", world.u64)
    pairs = [(number, 0x80000 + 3 * number) for number in range(count)]
    world.static("BOOKS", btree_map(world, pairs, tracker)[0])
    found = reach(kernel_with(world, "v3"), Names(("FrameTracker",)))
    assert found.complete
    assert [f.number for f in found.found] == [frame for _, frame in pairs]


def test_a_b_tree_with_a_bad_node_is_a_problem_and_not_complete() -> None:
    world = WorldOfStatics(1)
    tracker = world.wrapped("os::FrameTracker", world.u64)
    tree, nodes = btree_map(world, [(number, number) for number in range(40)], tracker)
    world.static("BOOKS", tree)
    world.write(nodes[-1], b"\xff" * 190)  # all of it, whose child it is too
    found = reach(kernel_with(world, "v3"), Names(("FrameTracker",)))
    assert not found.complete
    assert found.problems
    assert len(found.found) < 40


def test_pointers_to_pages_in_statics_of_c() -> None:
    world = WorldOfStatics(2)
    page = world.pointer(world.add(StructType("desc", 16, ())))
    ring = world.struct("ring", [("used", page), ("count", world.u64)])
    disk = world.struct("disk", [("desc", page), ("rings", world.array_of(ring, 3))])
    static = world.static("disk", world.new(disk))
    first, second = BASE + 0x20000, BASE + 0x25000
    world.put(static["desc"].address, first)
    world.put(static["rings"].element(1)["used"].address, second)
    world.put(static["rings"].element(1)["count"].address, second)  # a number is no pointer
    world.put(static["rings"].element(2)["used"].address, second + 8)  # into a page, not to it
    found = pages_pointed_to(kernel_with(world, "xv6"))
    assert found.problems == ()
    assert {f.full_path: f.number for f in found.found} == {
        "disk.desc": first >> 12,
        "disk.rings[1].used": second >> 12,
    }
