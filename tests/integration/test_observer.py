"""The observer, fed with moments that are made up: on the kernel's ELF, without a machine."""

import pytest

from rcdbg.image.elf import Image
from rcdbg.model.kernel import DEFAULT_PROFILE
from rcdbg.riscv import causes
from rcdbg.target.memory import FakeTarget
from rcdbg.target.protocol import Registers
from rcdbg.trace.kinds import DEFAULT_KINDS
from rcdbg.trace.moment import Moment
from rcdbg.trace.observer import Observer
from rcdbg.trace.probes import What
from rcdbg.trace.record import TraceEvent, in_order

pytestmark = pytest.mark.every_kernel

TIMER = causes.named("timer")
NO_MEMORY = FakeTarget({}, Registers(0, (0,) * 32, {}))
FROM_S = 1 << 8


class Story:
    """An observer, and a hand that moves the hart from place to place."""

    def __init__(self, image: Image, hits: tuple[str, ...] = ()) -> None:
        self.observer = Observer(image, DEFAULT_PROFILE, DEFAULT_KINDS, hits, NO_MEMORY)
        self.events: list[TraceEvent] = []
        self.ticks = 0

    def at(
        self, what: What, sp: int = 0x4000_0000, x: dict[int, int] | None = None, **csrs: int
    ) -> list[TraceEvent]:
        probe = next(p for p in self.observer.places if p.what == what)
        return self.at_address(probe.address, sp, x, **csrs)

    def at_address(
        self, pc: int, sp: int, x: dict[int, int] | None = None, **csrs: int
    ) -> list[TraceEvent]:
        values = [0xBAD0_BAD0_BAD0_0000 + i for i in range(32)]
        values[0], values[2] = 0, sp
        for number, value in (x or {}).items():
            values[number] = value
        self.ticks += 1
        found = self.observer.feed(Moment(Registers(pc, tuple(values), csrs), self.ticks))
        self.events += found
        return found


@pytest.fixture
def story(rcdbg_image: Image) -> Story:
    return Story(rcdbg_image)


def trap_stack_top(image: Image) -> int:
    static = next(s for s in image.types.statics() if s.path.endswith("KERNEL_STACK"))
    return static.address + image.types.type(static.type).size


def test_a_trap_inside_a_trap_is_deeper_and_ends_first(story: Story, rcdbg_image: Image) -> None:
    inside = trap_stack_top(rcdbg_image) - 0x400
    story.at("trap_enter", scause=TIMER or 0, sepc=0x1000, stval=0, sstatus=FROM_S)
    story.at("trap_enter", sp=inside, scause=13, sepc=0x1000, stval=0, sstatus=FROM_S)
    depths = [e.fields["depth"] for e in story.events if e.kind == "trap_enter"]
    assert depths == [1, 2]
    assert [e.fields["cause"] for e in story.events][1] == "load page fault"


def test_a_way_out_that_memory_does_not_tell_is_told_by_the_next_moment(story: Story) -> None:
    story.at("trap_enter", scause=3, sepc=0x1000, stval=0, sstatus=0)
    assert story.at("trap_leave", sepc=0x1004, sstatus=0) == []
    found = story.at("trap_enter", scause=3, sepc=0x1004, stval=0, sstatus=0)
    assert [e.kind for e in found] == ["trap_leave", "trap_enter"]
    assert found[0].fields == {"sepc": 0x1004, "privilege": "U", "depth": 1}
    assert found[1].fields["depth"] == 1
    assert in_order(story.events)


def test_an_ecall_is_the_same_event_at_the_instruction_and_at_mtvec(rcdbg_image: Image) -> None:
    here, there = Story(rcdbg_image), Story(rcdbg_image)
    place = next(p for p in here.observer.places if p.what == "ecall").address
    call = {17: 0x10, 16: 3, 10: 0x5352_5354, 11: 0, 12: 0}
    seen = here.at_address(place, 0x4000_0000, call)
    again = there.at_address(
        0x8000_0408, 0x4000_0000, call, mtvec=0x8000_0408, mepc=place, mcause=9
    )
    assert [e.document() for e in seen] == [e.document() for e in again]
    assert seen[0].fields["name"] == "base.probe_extension"


def test_a_console_line_is_one_event_and_an_open_one_is_marked(story: Story) -> None:
    for byte in b"one\r\ntwo":
        story.at("ecall", x={17: 1, 10: byte})
    assert [e.fields["text"] for e in story.events] == ["one"]
    (rest,) = story.observer.finish()
    assert rest.fields["text"] == "two"
    assert rest.marks


def test_garbage_where_a_thread_should_be_is_a_mark(rcdbg_image: Image) -> None:
    story = Story(rcdbg_image)
    if "thread_add" in story.observer.unseen:
        pytest.skip("this kernel has no function there")
    (event,) = story.at("ready", x={11: 0xDEAD_BEEF})
    assert event.kind == "thread_add"
    assert event.fields["id"] is None
    assert event.marks


def test_time_never_goes_back(story: Story) -> None:
    story.ticks = 100
    story.at("ecall", x={17: 0, 10: 500})
    story.ticks = 50
    story.at("ecall", x={17: 0, 10: 600})
    assert [e.ticks for e in story.events] == [101, 101]
    assert [e.fields["deadline"] for e in story.events] == [500, 600]
