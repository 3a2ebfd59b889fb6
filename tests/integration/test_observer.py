"""The observer: fed with moments that are made up, and by a kernel that is tampered with."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcdbg.guest.protocol import Registers
from rcdbg.image.elf import Image
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.values.value import Value
from rcdbg.riscv import causes
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.kinds import DEFAULT_KINDS, KINDS, EventField, EventKind, Sight
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.call_observer import CallObserver
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import Handler, Probe, plan
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.until import after_events
from rcdbg.trace.wanted import Wanted
from tests.support.fake_target import FakeTarget
from tests.support.order import in_order

pytestmark = pytest.mark.every_kernel

TIMER = causes.named("timer")
NO_MEMORY = FakeTarget({}, Registers(0, (0,) * 32, {}))
FROM_S = 1 << 8


class Story:
    """An observer, and a hand that moves the hart from place to place."""

    def __init__(
        self,
        image: Image,
        hits: tuple[str, ...] = (),
        kinds: tuple[str, ...] = DEFAULT_KINDS,
    ) -> None:
        made = plan(image, NOTHING, kinds, hits)
        self.observer = Observer(image, NOTHING, made, NO_MEMORY)
        self.events: list[TraceEvent] = []
        self.ticks = 0

    def at(
        self, what: str, sp: int = 0x4000_0000, x: dict[int, int] | None = None, **csrs: int
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


def test_everything_that_is_looked_at_is_handled(story: Story) -> None:
    for kind in KINDS.values():
        for sight in kind.seen_at:
            assert sight.what in story.observer.handled, kind.name
    assert {probe.what for probe in story.observer.places} <= story.observer.handled


def test_a_new_kind_is_its_declaration_and_a_handler(
    rcdbg_image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen at a function that the kernel's description names, and told of by an observer."""
    entries = plan(rcdbg_image, NOTHING, ("map",)).probes
    if not any(probe.what == "map" for probe in entries):
        pytest.skip("this kernel has no function there")
    kind = EventKind(
        "page_asked",
        "a page is asked for",
        (EventField("flags", "a3", base="hexadecimal"),),
        main="flags",
        group="paging",
        seen_at=(Sight("page_asked", "map_page", "entry"),),
    )
    monkeypatch.setitem(KINDS, kind.name, kind)
    known = CallObserver.handlers

    def handlers(self: CallObserver) -> dict[str, Handler]:
        def on_page_asked(moment: Moment, probe: Probe) -> None:
            self._scene.emit("page_asked", moment, {"flags": moment.registers.x[13]})

        return known(self) | {"page_asked": on_page_asked}

    monkeypatch.setattr(CallObserver, "handlers", handlers)
    story = Story(rcdbg_image, kinds=("page_asked",))
    (found,) = story.at("page_asked", x={13: 0x17})
    assert (found.kind, dict(found.fields)) == ("page_asked", {"flags": 0x17})
    assert {p.address for p in entries if p.what == "map"} == {
        p.address for p in story.observer.places if p.what == "page_asked"
    }


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
    assert found[0].fields == {
        "sepc": 0x1004, "sepc_place": None, "privilege": "U", "depth": 1
    }  # fmt: skip
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


class Tampered:
    """The events of a kernel that runs; between two of them, the machine may be changed."""

    def __init__(self, run: Run, *kinds: str, hits: tuple[str, ...] = ()) -> None:
        self.run = run
        made = plan(run.image, run.overlay, kinds, hits)
        self.observer = Observer(run.image, run.overlay, made, run.target)

    def __iter__(self) -> Iterator[TraceEvent]:
        with StubRecorder(self.run, timeout=30) as recorder:
            recorder.watch(self.observer.addresses)
            for moment in recorder.moments():
                yield from self.observer.feed(moment)

    def renumber(self, number: int, new: int) -> None:
        """Give the thread with that number another one."""
        kernel = self.run.kernel()
        processor = self.run.state().processor
        (thread,) = (t for t in processor.threads if t.id == number)
        kind = kernel.struct_named("Thread", ("id", "inner"))
        at = Value(kernel.space, kind, thread.address, "thread")["id"]
        physical = kernel.memory.physical(at.address)
        offset = physical - self.run.qemu.ram.base
        size = at.type.size
        self.run.qemu.ram.memory[offset : offset + size] = new.to_bytes(size, "little")


def test_a_fault_inside_the_handler_is_of_the_thread_that_was_interrupted(
    rcdbg_boot: BootKernel,
) -> None:
    nowhere = 0x10
    run = rcdbg_boot("preempt", "interval=100000")
    seen: list[TraceEvent] = []
    for event in Tampered(run.machine, "trap_enter", "hit", hits=("handle_interrupt",)):
        seen.append(event)
        if event.kind == "hit" and seen[-2].fields["interrupt"]:
            run.machine.stub.write_register("pc", nowhere)
        if event.kind == "trap_enter" and event.fields["depth"] == 2:
            break
    outer, hit, inner = seen[-3:]
    assert (outer.fields["cause"], outer.fields["depth"]) == ("supervisor timer interrupt", 1)
    assert (inner.fields["cause"], inner.fields["sepc"]) == ("instruction page fault", nowhere)
    assert outer.thread == hit.thread == inner.thread != None  # noqa: E711


def test_a_fault_of_the_handlers_own_is_two_deep(rcdbg_kernel: Path) -> None:
    boot = Boot(rcdbg_kernel, "scenario=fault where=handler", deterministic=True)
    with record(boot, Wanted(("trap_enter", "console"), backend="stub")) as recording:
        events = list(recording)
    traps = [e for e in events if e.kind == "trap_enter"]
    assert [e.fields["depth"] for e in traps][-2:] == [1, 2]
    assert traps[-1].thread == traps[-2].thread
    (said,) = (e for e in events if "fault in the trap handler" in str(e.fields.get("text")))
    assert f"sepc={traps[-1].fields['sepc']:#x}" in said.fields["text"]


def test_numbers_and_stacks_of_threads_that_are_gone_are_used_again(
    rcdbg_boot: BootKernel,
) -> None:
    """On the second thread's stack there is one with another number; the third one gets its old."""
    run = rcdbg_boot("preempt", "interval=100000")
    tampered = Tampered(run.machine, "thread_add", "trap_enter")
    if "thread_add" in tampered.observer.unseen:
        pytest.skip("this kernel has no function there")
    stacks: dict[int, list[int]] = {}
    pending = {2: 9, 3: 2}
    added: list[tuple[int, list[int]]] = []
    interrupted: list[int | None] = []
    for event in tampered:
        if event.kind == "thread_add":
            number, stack = event.fields["id"], event.fields["stack"]
            if len(stacks) < 3:
                stacks[number] = stack
            else:
                added.append((number, stack))
        elif event.fields["interrupt"]:
            if not pending:
                interrupted.append(event.thread)
            elif event.thread == next(iter(pending)):
                tampered.renumber(event.thread, pending.pop(event.thread))
        if len(interrupted) == 6:
            break
    assert added == [(9, stacks[2]), (2, stacks[3])]
    assert set(interrupted) == {1, 2, 9}


def test_a_function_that_runs_before_paging_is_hit_at_its_physical_address(
    rcdbg_kernel: Path, rcdbg_image: Image
) -> None:
    entry = rcdbg_image.symbols.covering(rcdbg_image.entry)
    assert entry is not None
    boot = Boot(rcdbg_kernel, "scenario=threads", deterministic=True)
    wanted = Wanted(("satp",), (entry.name,), after_events(2), "stub")
    with record(boot, wanted) as recording:
        hit, paging = recording
    assert hit.fields["symbol"] == entry.name
    assert hit.pc == rcdbg_image.physical(entry.address) != entry.address
    assert hit.place == f"{entry.name}+0x0"
    assert paging.kind == "satp"
    assert paging.ticks is not None
    assert hit.ticks is not None
    assert hit.ticks <= paging.ticks


def test_pages_that_are_unmapped_are_those_that_the_console_says(rcdbg_kernel: Path) -> None:
    boot = Boot(rcdbg_kernel, "scenario=mapping", deterministic=True)
    with record(boot, Wanted(("unmap", "console"), backend="stub")) as recording:
        if "unmap" in recording.header.unseen:
            pytest.skip("this kernel has no function there")
        events = list(recording)
    told: list[tuple[set[int], set[int]]] = []
    for event in events:
        if event.kind == "unmap":
            va, pages = event.fields["va"], event.fields["pages"]
            assert 0 < pages < 1000
            told.append(({va + number * 4096 for number in range(pages)}, set()))
        elif said := re.match(r"(?:removed|alias) (0x\w+) -> unmapped", event.fields["text"]):
            told[-1][1].add(int(said[1], 16))
    witnessed = [(pages, said) for pages, said in told if said]
    assert len(witnessed) == 2
    assert all(pages == said for pages, said in witnessed)


def test_a_thread_is_known_by_its_address_space_too(rcdbg_kernel: Path) -> None:
    """All stacks are at one address; process n has thread n, and says where its root table is."""
    kinds = ("trap_enter", "satp", "console", "switch", "thread_exit")
    boot = Boot(rcdbg_kernel, "scenario=processes interval=100000", deterministic=True)
    with record(boot, Wanted(kinds, backend="stub")) as recording:
        events = list(recording)
    owner: dict[int, int] = {}
    root = None
    traps: list[tuple[int | None, int]] = []
    for event in events:
        if event.kind == "console":
            if said := re.match(r"process (\d+): root page table (0x\w+)", event.fields["text"]):
                owner[int(said[2], 16) >> 12] = int(said[1])
        elif event.kind == "satp":
            root = event.fields["root_ppn"]
        elif event.kind == "trap_enter" and root in owner:
            traps.append((event.thread, owner[root]))
            is_user = event.fields["privilege"] == "U"
            assert is_user == (event.thread == 3)
    assert {thread for thread, _ in traps} == {1, 2, 3}
    assert [one for one in traps if one[0] != one[1]] == []
    switches = [e for e in events if e.kind == "switch"]
    assert switches
    assert all(e.fields["from"] == e.thread != e.fields["to"] for e in switches)
    assert any("thread 3 exits from U-mode" in str(e.fields.get("text")) for e in events)
    ends = {e.fields["id"]: e.fields["why"] for e in events if e.kind == "thread_exit"}
    assert ends == {1: "exit", 2: "exit", 3: "exit"}
