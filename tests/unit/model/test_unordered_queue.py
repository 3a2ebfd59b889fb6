"""A ready queue whose entries show that they are taken in an order that is not known here."""

from rcdbg.kernels.reading import overlay_of
from rcdbg.model.threads.processor import read_processor
from tests.unit.model.kernels import LAB, kernel_of
from tests.unit.model.labs import ROOT, Labs

BY_RATIO = overlay_of(b'family = "lab"\n[queue]\nunordered = "id"\n', "kernel.toml")


def with_all_in_the_pool() -> Labs:
    """The running thread, 5, stays in the pool of the ready ones, as with HRRN."""
    world = Labs(3)
    (static,) = [s for s in world.known if s.path == "os::PROCESSOR"]
    processor = world.guarded(world.value(static.type, static.address))
    places = world.fill_vec(world.get(processor, "scheduler", "pool"), 3, 4)
    for place, number in zip(places, (7, 5, 9), strict=True):
        world.put(place.address, world.threads[number]["ptr"]["__0"].scalar())
    world.fill_vec(world.get(processor, "sleeping_threads"), 0, 1)
    return world


def test_the_running_one_may_stay_in_it_and_nobody_is_next() -> None:
    processor = read_processor(kernel_of(with_all_in_the_pool(), ROOT, BY_RATIO))
    assert [(t.id, t.position) for t in processor.ready] == [(7, None), (9, None)]
    assert "order of the ready threads is not known" in processor.note
    assert not any("at once" in p.why for p in processor.problems)


def test_elsewhere_that_is_a_fault() -> None:
    processor = read_processor(kernel_of(with_all_in_the_pool(), ROOT, LAB))
    assert [t.position for t in processor.ready] == [0, 1, 2]
    assert "runs and is in the ready queue at once" in {p.why for p in processor.problems}
