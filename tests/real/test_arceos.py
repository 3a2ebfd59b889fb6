"""A kernel of ArceOS's modules: at a hundred traps, and through each front."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from rcdbg.image.elf import Image
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.memory_set import MemorySets, read_memory_sets
from rcdbg.model.state import KernelState
from rcdbg.model.tasks.locks import read_locks
from rcdbg.testing import trap_enter
from rcdbg.trace.run import Run
from rcdbg.trace.story.story import begin
from tests.real import at_stops, fronts, page
from tests.real.truth import Truth
from tests.support.qemu_account import parse_info_mem
from tests.support.real import RealKernel, Seen, arceos, calls, traps
from tests.support.tools import tool

STOPS, EVERY = 100, 3
TRAPS, PROGRAM = 8, 4
IDLE, MAIN, GC = 1, 2, 3
"""The ids of those that the scheduler itself makes, in that order."""
_FIFO = "axsched::fifo::FifoScheduler<axtask::task::TaskInner> as axsched::BaseScheduler>::"
_COUNTS = "axalloc::default_impl::GLOBAL_ALLOCATOR.balloc.data.value"


@dataclass(slots=True)
class Turns(Truth):
    """Who runs and who is ready, by the calls of the scheduler; an Arc's pointer stands for each.

    Ids are given out one after the other, to the threads in the order in which they are queued
    for the first time.
    """

    ids: dict[int, int] = field(default_factory=dict)
    holder: int = 0
    """Who has the program's mutex."""

    @property
    def waiting(self) -> set[int]:
        """Those that neither run nor are in the queue; the idle one waits for nothing."""
        return set(self.tasks) - set(self.queue) - {self.current, IDLE}

    def calls(self, image: Image) -> dict[int, Seen]:
        """What to call at which address."""
        return calls(
            image,
            {
                "task::CurrentTask>::init_current": self._begun,
                "task::CurrentTask>::set_current": self._switched,
                "task::TaskInner>::notify_exit": self._ended,
                f"{_FIFO}add_task": self._added,
                f"{_FIFO}put_prev_task": self._added,
                f"{_FIFO}pick_next_task": self._picked,
            },
        )

    def _begun(self, a: tuple[int, ...]) -> None:
        self.ids[a[0]], self.current, self.tasks = MAIN, MAIN, [IDLE, MAIN]

    def _added(self, a: tuple[int, ...]) -> None:
        if a[1] not in self.ids:
            self.ids[a[1]] = GC + len(self.ids) - len((MAIN,))
            self.tasks.append(self.ids[a[1]])
        self.queue.append(self.ids[a[1]])

    def _picked(self, a: tuple[int, ...]) -> None:
        if self.queue:
            self.queue.popleft()

    def _switched(self, a: tuple[int, ...]) -> None:
        self.current = self.ids.get(a[1], IDLE)

    def _ended(self, a: tuple[int, ...]) -> None:
        assert self.current is not None
        self.tasks.remove(self.current)


def _trap(run: Run, state: KernelState) -> str:
    """The frame is what the handler was given, with the pc where QEMU says that it trapped."""
    context = state.trap.context
    assert not state.trap.problems, state.trap.problems
    assert context is not None
    assert context.address == run.stub.registers().x[10]
    assert context.sepc.address == parse_info_registers(run.stub.monitor("info registers"))["sepc"]
    return at_stops.RIGHT


def _memory_sets(run: Run, sets: MemorySets) -> str:
    """The only one is the kernel's; its areas are what is mapped."""
    assert not sets.problems, sets.problems
    (only,) = sets.sets
    assert only.active
    assert not only.problems
    assert not only.differences
    mapped = parse_info_mem(run.stub.monitor("info mem"))
    assert sum(s.size for s in only.segments) == sum(m.size for m in mapped)
    return at_stops.RIGHT


def _places(elf: Path) -> tuple[int, int]:
    """Where the heap counts what it has and what is taken, by gdb."""
    asked = [f"print &{_COUNTS}.{n}_bytes" for n in ("total", "used")]
    total, used = (int(a, 16) for a in re.findall(r"\) (0x[0-9a-f]+)", _gdb(elf, *asked)))
    return total, used


def _gdb(elf: Path, *commands: str) -> str:
    """What gdb says of the ELF, in Rust's words; of what is not in the file, where it looked."""
    asked = [word for command in ("set language rust", *commands) for word in ("-ex", command)]
    done = subprocess.run(
        [tool("gdb-multiarch"), "-nx", "-batch", *asked, str(elf)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr


def _heap(run: Run, kernel: Kernel, places: tuple[int, int]) -> str:
    """What is free and in all, as the allocator counts it."""
    total, used = (_word(run, address) for address in places)
    found = read_heap(kernel)
    assert (found.total, found.free) == (total, total - used)
    return at_stops.RIGHT


def _word(run: Run, address: int) -> int:
    """Eight bytes of virtual memory, by QEMU's monitor."""
    return int(run.stub.monitor(f"x /1gx {address:#x}").split(":")[1].split()[0], 16)


def _frames(state: KernelState) -> str:
    assert not state.frames.is_known
    assert not state.frames.problems
    return at_stops.NOT_KNOWN


def _processes(sets: MemorySets) -> str:
    assert "no processes" in sets.note
    return at_stops.NONE


def words_at_stops() -> at_stops.Words:
    """What rcdbg says at the stops of a run; raises AssertionError where it errs."""
    truth, said, waited = Turns(), at_stops.Words(), 0
    kernel = arceos()
    places = _places(kernel.elf)
    with kernel.run(deterministic=False) as run:
        for number in traps(run, truth.calls(run.image)):
            if number % EVERY:
                continue
            run.settle()
            now, state = run.kernel(), run.state()
            sets = read_memory_sets(now)
            said.note("registers", at_stops.registers(run, state))
            said.note("page tables", at_stops.page_table(run, state))
            said.note("traps", _trap(run, state))
            said.note("threads", at_stops.threads(state.processor, truth))
            said.note("processes", _processes(sets))
            said.note("memory sets", _memory_sets(run, sets))
            said.note("heap", _heap(run, now, places))
            said.note("frames", _frames(state))
            waited = max(waited, len(truth.waiting))
            if number >= STOPS * EVERY:
                break
        else:
            raise AssertionError("it ended too early")
    # Guards: there was something to be wrong about.
    assert len(truth.ids) == len((MAIN, GC)) + PROGRAM
    assert waited > 1
    return said


def _trace(kernel: RealKernel) -> str:
    """The first traps: of which thread each is, scause and sepc.

    The thread is that of the address in the kernel's own variable, read by QEMU; gdb says where in
    it the id is.
    """
    found = re.search(r"/\* +(\d+) .*\bid:", _gdb(kernel.elf, "ptype/o axtask::task::TaskInner"))
    assert found is not None
    id_at = int(found[1])
    story = begin(kernel.boot())
    try:
        symbols = {s.path: s.address for s in story.image.symbols}
        pointer = symbols["_percpu_start"] + symbols["axhal::percpu::__PERCPU_CURRENT_TASK_PTR"]
        for _ in range(TRAPS):
            event, stub = story.until(trap_enter()), story.machine.stub
            now = parse_info_registers(stub.monitor("info registers"))
            assert event.fields["scause"] == now["scause"]
            assert event.fields["sepc"] == now["sepc"]
            assert event.thread == _word(story.machine, _word(story.machine, pointer) + id_at)
    finally:
        story.machine.close()
    return at_stops.RIGHT


def words_at_fronts(folder: Path) -> at_stops.Words:
    """What each front says of it; raises AssertionError where it errs."""
    kernel, truth, said = arceos(), Turns(), at_stops.Words()
    with kernel.run() as run:
        for number in traps(run, truth.calls(run.image)):
            if number == TRAPS:
                break
        run.settle()
        said.note("user programs", at_stops.NONE)
        said.note("snapshot", fronts.snapshot(run, truth, folder))
        said.note("gdb", fronts.gdb(run, truth))
    fronts.everything(kernel, "arceos")
    said.note("trace", _trace(kernel))
    said.note("pytest", fronts.in_pytest(kernel, folder, TRAPS, truth))
    said.note("first screen", fronts.first_screen(kernel, folder))
    return said


def test_what_is_said_at_stops_is_right_and_as_the_page_has_it() -> None:
    said = words_at_stops()
    assert said.verdict("registers") == at_stops.RIGHT
    found = {column: said.verdict(column) for column in page.COLUMNS if column in said.said}
    committed = page.cells()[page.name_of("arceos")]
    assert found == {column: committed[column] for column in found}


def test_each_front_is_right_and_as_the_page_has_it(tmp_path: Path) -> None:
    said = words_at_fronts(tmp_path)
    found = {column: said.verdict(column) for column in said.said}
    committed = page.cells()[page.name_of("arceos")]
    assert found == {column: committed[column] for column in found}


def test_a_mutex_tells_who_has_it_and_a_sleeper_what_it_waits_for() -> None:
    truth = Turns()
    with arceos().run(deterministic=False) as run:
        held = waits = wanted = ""
        for number in traps(run, truth.calls(run.image)):
            run.settle()
            state = run.state()
            holder = next((t for t in state.processor.threads if t.name == "holder"), None)
            if holder is not None and holder.status == "sleeping":
                waits = holder.waits[0].what if holder.waits else ""
                if "TIMER_RUNTIME" not in waits:
                    continue  # it waits for the mutex, which another one has
                wanted = f"thread {holder.id}"
                held = next((lock.holder for lock in read_locks(run.kernel()).taken), "nobody")
                break
            assert number < 4000
    # It sleeps with the mutex in its hands, and nowhere else.
    assert held == wanted
    assert "TIMER_RUNTIME" in waits
