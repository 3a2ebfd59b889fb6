"""A made-up kernel of the labs' kind, whole: threads, a process, its books, frames, page table.

Every name of a type and of a field can be another one, which a description has to tell.
"""

from collections.abc import Mapping, Sequence

from rcdbg.image.types import CEnumType, Member, StructType, TypeId
from rcdbg.model.values.value import Value
from rcdbg.riscv import pages, pte
from tests.unit.model.kernels import WorldOfStatics
from tests.unit.model.world import BASE

ROOT, MIDDLE, BOTTOM = (0x8008_0000 + PAGE >> 12 for PAGE in (0, 0x1000, 0x2000))
STACK_FRAMES = (ROOT + 8, ROOT + 9)
LEAKED = ROOT + 10
FIRST, FRAMES = ROOT, 16
STACK = (0x100_0000, 0x100_2000)
"""Of thread 7: two pages, in the frames STACK_FRAMES."""


class Labs(WorldOfStatics):
    """One user process with three threads: 5 runs, 7 is ready, 9 sleeps."""

    def __init__(self, seed: int = 0, other: Mapping[str, str] | None = None) -> None:
        super().__init__(seed)
        self._other = other or {}
        self.context = self._context_type()
        self.ppn = self.wrapped("os::PhysicalPageNumber", self.u64)
        self.tracker = self._newtype("FrameTracker", self.ppn)
        self.process_type = self._process_type()
        self.process = self.counted(self.process_type)
        self.thread_type = self._thread_type()
        self._write_process()
        self.threads = {number: self._thread(number) for number in (5, 7, 9)}
        self._write_processor()
        self._write_frames()
        self._write_tables()

    def name(self, usual: str) -> str:
        """What this kernel calls what is usually called so."""
        return self._other.get(usual, usual)

    def made(
        self,
        name: str,
        fields: Sequence[tuple[str, TypeId]],
        parameters: Sequence[tuple[str, TypeId]] = (),
    ) -> TypeId:
        """A struct of the kernel's own, under the names of this kernel."""
        own = [(self.name(field), kind) for field, kind in fields]
        return self.struct(f"os::{self.name(name)}", own, parameters)

    def get(self, value: Value, *usual: str) -> Value:
        """The field that the usual names lead to."""
        for name in usual:
            value = value[self.name(name)]
        return value

    def _newtype(self, name: str, inner: TypeId) -> TypeId:
        return self.add(StructType(f"os::{self.name(name)}", 8, (Member("__0", inner, 0),)))

    def _context_type(self) -> TypeId:
        words = self.array_of(self.u64, 32)
        return self.made("Context", [("x", words), ("sstatus", self.u64), ("sepc", self.u64)])

    def _process_type(self) -> TypeId:
        span = self.made("Range", [("start", self.u64), ("end", self.u64)])
        variants = ((self.name("Linear"), 0), (self.name("Framed"), 1))
        kind = self.add(CEnumType("os::MapType", 1, variants))
        area = self.made("Segment", [("range", span), ("flags", self.u64), ("map_type", kind)])
        pair = self.struct("(VirtualPageNumber, FrameTracker)",
                           [("__0", self.u64), ("__1", self.tracker)])  # fmt: skip
        mapping = self.made(
            "Mapping",
            [
                ("page_tables", self.vec_type(self.tracker)),
                ("root_ppn", self.ppn),
                ("mapped_pairs", self.vec_type(pair)),
            ],
        )
        books = self.made("MemorySet", [("segments", self.vec_type(area)), ("mapping", mapping)])
        inner = self.made("ProcessInner", [("memory_set", books)])
        return self.made("Process", [("is_user", self.u8), ("inner", self.mutex_of(inner))])

    def _thread_type(self) -> TypeId:
        fields = [
            ("context", self.option(self.context)),
            ("sleeping", self.u8),
            ("dead", self.u8),
        ]
        inner = self.made("ThreadInner", fields)
        span = self.made("Range", [("start", self.u64), ("end", self.u64)])
        return self.made(
            "Thread",
            [
                ("id", self.u64),
                ("stack", span),
                ("process", self.process.type_id),
                ("inner", self.mutex_of(inner)),
            ],
        )

    def _write_process(self) -> None:
        process = self.behind(self.process)
        self.write(self.get(process, "is_user").address, b"\1")
        books = self.guarded(self.get(process, "inner"))
        books = self.get(books, "memory_set")
        (area,) = self.fill_vec(self.get(books, "segments"), 1, 1)
        self.put(self.get(area, "range", "start").address, STACK[0])
        self.put(self.get(area, "range", "end").address, STACK[1])
        self.put(self.get(area, "flags").address, pte.R | pte.W | pte.U)
        self.write(self.get(area, "map_type").address, b"\1")
        self.put(self.get(books, "mapping", "root_ppn").address, ROOT)
        tables = self.fill_vec(self.get(books, "mapping", "page_tables"), 3, 3)
        for value, frame in zip(tables, (ROOT, MIDDLE, BOTTOM), strict=True):
            self.put(value.address, frame)
        pairs = self.fill_vec(self.get(books, "mapping", "mapped_pairs"), 2, 2)
        for number, (pair, frame) in enumerate(zip(pairs, STACK_FRAMES, strict=True)):
            self.set(pair, "__0", (STACK[0] >> 12) + number)
            self.put(pair["__1"].address, frame)
        self.static("USER_PROCESS", self.process)

    def _thread(self, number: int) -> Value:
        arc = self.counted(self.thread_type)
        thread = self.behind(arc)
        start = STACK[0] + (number - 7) * 0x10_0000
        self.put(self.get(thread, "id").address, number)
        self.put(self.get(thread, "stack", "start").address, start)
        self.put(self.get(thread, "stack", "end").address, start + STACK[1] - STACK[0])
        self.put(self.get(thread, "process").address, self.process["ptr"]["__0"].scalar())
        inner = self.guarded(self.get(thread, "inner"))
        self.write(self.get(inner, "sleeping").address, bytes([number == 9]))
        if number != 5:
            parked = self.get(inner, "context")
            self.put(parked.address, 1)
            context = parked.variant()[1]["__0"]
            self.put(self.get(context, "x").address + 8 * 2, start + 0x1F00)
            self.put(self.get(context, "sepc").address, BASE + 0x100)
        return arc

    def _write_processor(self) -> None:
        arc = self.threads[5].type_id
        queue = self.vec_type(arc, "alloc::collections::vec_deque::VecDeque<T>")
        scheduler = self.made("FifoScheduler", [("pool", queue)])
        processor = self.made(
            "Processor",
            [
                ("current_thread", self.option_pointer(arc)),
                ("scheduler", scheduler),
                ("sleeping_threads", self.vec_type(arc)),
            ],
        )
        lock = self.static("PROCESSOR", self.new(self.mutex_of(processor)))
        value = self.guarded(lock)
        self._link(self.get(value, "current_thread"), 5)
        (ready,) = self.fill_vec(self.get(value, "scheduler", "pool"), 1, 4, 2)
        self._link(ready, 7)
        (asleep,) = self.fill_vec(self.get(value, "sleeping_threads"), 1, 1)
        self._link(asleep, 9)

    def _link(self, place: Value, number: int) -> None:
        self.put(place.address, self.threads[number]["ptr"]["__0"].scalar())

    def _write_frames(self) -> None:
        interval = self.add(
            StructType(
                "(usize, usize)", 16, (Member("__0", self.u64, 0), Member("__1", self.u64, 8))
            )
        )
        books = self.made("StackedAllocator", [("list", self.vec_type(interval))])
        fields = [("start_ppn", self.ppn), ("frames", self.u64), ("allocator", books)]
        owner = self.static("FRAME_ALLOCATOR", self.new(self.made("FrameAllocator", fields)))
        self.put(self.get(owner, "start_ppn").address, FIRST)
        self.put(self.get(owner, "frames").address, FRAMES)
        used = {ROOT, MIDDLE, BOTTOM, *STACK_FRAMES, LEAKED}
        free = [frame for frame in range(FIRST, FIRST + FRAMES) if frame not in used]
        places = self.fill_vec(self.get(owner, "allocator", "list"), len(free), len(free))
        for place, frame in zip(places, free, strict=True):
            self.set(place, "__0", frame - FIRST)
            self.set(place, "__1", frame - FIRST + 1)

    def _write_tables(self) -> None:
        linear = pte.V | pte.R | pte.W | pte.X
        self._entry(ROOT, pages.index(BASE, 2), BASE >> 12, linear)
        self._entry(ROOT, pages.index(STACK[0], 2), MIDDLE, pte.V)
        self._entry(MIDDLE, pages.index(STACK[0], 1), BOTTOM, pte.V)
        for number, frame in enumerate(STACK_FRAMES):
            slot = pages.index(STACK[0] + 0x1000 * number, 0)
            self._entry(BOTTOM, slot, frame, pte.V | pte.R | pte.W | pte.U)

    def _entry(self, table: int, slot: int, frame: int, flags: int) -> None:
        self.put((table << 12) + 8 * slot, frame << 10 | flags)
