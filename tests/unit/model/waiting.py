"""A made-up kernel whose threads wait: for a semaphore, behind a trait object, for a time.

Process 1 has threads 10 to 14, of which 14 has exited; process 2 is its child and a zombie. Fields
lie in an order that the seed decides.
"""

from typing import Any

from rcdbg.image.types import ArrayType, BaseType, CEnumType, Member, StructType, TypeId
from rcdbg.kernels.reading import Overlay
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.value import Value
from tests.unit.model.kernels import WorldOfStatics
from tests.unit.model.test_task_tables import kernel_with

READY, RUNNING, BLOCKED = range(3)
STATES = (("Ready", READY), ("Running", RUNNING), ("Blocked", BLOCKED))
THREADS = {10: RUNNING, 11: BLOCKED, 12: BLOCKED, 13: BLOCKED, 14: RUNNING}
EXIT_CODE, CHILDS_CODE, DUE = -7, 3, 1728
V3 = Overlay(family="v3")


class Waiting(WorldOfStatics):
    """See above. `on_semaphore` wait for the semaphore, in that order, in the field `queue`."""

    def __init__(
        self, seed: int = 0, on_semaphore: tuple[int, ...] = (12, 11), queue: str = "wait_queue"
    ) -> None:
        super().__init__(seed)
        self.i32 = self.add(BaseType("i32", 4, "signed"))
        self.status = self.add(CEnumType("os::TaskStatus", 1, STATES))
        res = self.struct("os::TaskUserRes", [("tid", self.u64)])
        inner = self.struct("os::TaskInner", [
            ("task_status", self.status), ("exit_code", self.option(self.i32)),
            ("res", self.option(res)),
        ])  # fmt: skip
        self.task = self.struct("os::TaskControlBlock", [("inner", self.mutex_of(inner))])
        self.queue = self.vec_type(self.arc_of(self.task), "alloc::collections::VecDeque<T>")
        waits = self.struct("os::SemaphoreInner", [("count", self.u64), (queue, self.queue)])
        self.semaphore = self.struct("os::Semaphore", [("inner", self.mutex_of(waits))])
        hidden = self.struct("os::MutexInner", [("locked", self.u64), ("wait_queue", self.queue)])
        self.blocking = self.struct("os::MutexBlocking", [("inner", self.mutex_of(hidden))])
        self.process_type = self._process_type()
        self.threads = {number: self.counted(self.task) for number in THREADS}
        self.processes = {number: self.counted(self.process_type) for number in (1, 2)}
        for number, state in THREADS.items():
            self._write_thread(number, state)
        self._write_processes()
        self._write_waits(on_semaphore, queue)
        self._write_timers()
        processor = self.struct("os::Processor", [("current", self.option_pointer(
            self.arc_of(self.task)))])  # fmt: skip
        held = self.guarded(self.static("PROCESSOR", self.new(self.mutex_of(processor))))
        self.link(held["current"], self.threads[10])

    def _process_type(self) -> TypeId:
        process = self.add(StructType("os::ProcessControlBlock", 512, ()))
        counts = self.type(self.type_behind(self.new(self.arc_of(process))))
        assert isinstance(counts, StructType)
        link = self.wrapped(
            "NonNull", self.pointer(self.type_behind(self.new(self.arc_of(process))))
        )
        weak = self.add(StructType("alloc::sync::Weak<T>", 8, (Member("ptr", link, 0),)))
        self.dyn = self._dyn()
        fields = [
            ("is_zombie", self.u8), ("exit_code", self.i32), ("parent", self.option_pointer(weak)),
            ("children", self.vec_type(self.arc_of(process))),
            ("tasks", self.vec_type(self.option_pointer(self.arc_of(self.task)))),
            ("semaphore_list", self.vec_type(self.option_pointer(self.arc_of(self.semaphore)))),
            ("mutex_list", self.vec_type(self.dyn)),
        ]  # fmt: skip
        inner = self.struct("os::ProcessInner", fields)
        whole = self.struct(
            "os::ProcessControlBlock", [("pid", self.u64), ("inner", self.mutex_of(inner))]
        )
        self.table[process] = self.table.pop(whole)
        return process

    def _dyn(self) -> TypeId:
        """An `Arc<dyn Mutex>`: a pointer to the counts, and one to the vtable."""
        unsized = self.add(StructType("dyn os::Mutex", 0, ()))
        atomic = self.wrapped("core::sync::atomic::AtomicUsize", self.u64)
        counts = self.add(StructType("alloc::sync::ArcInner<dyn os::Mutex>", 16, (
            Member("strong", atomic, 0), Member("weak", atomic, 8), Member("data", unsized, 16),
        )))  # fmt: skip
        table = self.add(ArrayType("[usize; 3]", 24, self.u64, 3))
        fat = self.add(StructType("*const ArcInner<dyn os::Mutex>", 16, (
            Member("pointer", self.pointer(counts), 0), Member("vtable", self.pointer(table), 8),
        )))  # fmt: skip
        link = self.add(StructType("NonNull<ArcInner<dyn>>", 16, (Member("pointer", fat, 0),)))
        return self.add(
            StructType("alloc::sync::Arc<dyn os::Mutex>", 16, (Member("ptr", link, 0),))
        )

    def link(self, place: Value, arc: Value) -> None:
        self.put(place.address, arc["ptr"]["__0"].scalar())

    def inner(self, process: int) -> Value:
        return self.guarded(self.behind(self.processes[process])["inner"])

    def _write_thread(self, number: int, state: int) -> None:
        inner = self.guarded(self.behind(self.threads[number])["inner"])
        self.write(inner["task_status"].address, bytes([state]))
        if number == 14:  # its state stays what it was: only the code tells
            self.put(inner["exit_code"].address, 1)
            self.write(inner["exit_code"].address + 8, EXIT_CODE.to_bytes(4, "little", signed=True))
        else:
            self.put(inner["res"].address, 1)
            self.put(inner["res"].variant()[1]["__0"]["tid"].address, number)

    def _write_processes(self) -> None:
        listed = self.static("PID2PCB", self.new(self.vec_type(self.arc_of(self.process_type))))
        (first,) = self.fill_vec(listed, 1, 1)
        self.link(first, self.processes[1])
        for number in (1, 2):
            self.put(self.behind(self.processes[number])["pid"].address, number)
        (child,) = self.fill_vec(self.inner(1)["children"], 1, 2)
        self.link(child, self.processes[2])
        self.link(self.inner(2)["parent"], self.processes[1])
        self.write(self.inner(2)["is_zombie"].address, b"\1")
        self.write(self.inner(2)["exit_code"].address, CHILDS_CODE.to_bytes(4, "little"))
        places = self.fill_vec(self.inner(1)["tasks"], len(THREADS), 8)
        for place, number in zip(places, THREADS, strict=True):
            self.link(place, self.threads[number])

    def _write_waits(self, on_semaphore: tuple[int, ...], name: str) -> None:
        # The first semaphore was never made, or is gone.
        _, second = self.fill_vec(self.inner(1)["semaphore_list"], 2, 4)
        semaphore = self.counted(self.semaphore)
        self.link(second, semaphore)
        queue = self.guarded(self.behind(semaphore)["inner"])[name]
        for place, number in zip(
            self.fill_vec(queue, len(on_semaphore), 4, 3), on_semaphore, strict=True
        ):
            self.link(place, self.threads[number])
        vtable = self.alloc(24)
        self.put(vtable + 16, 8)  # drop, size, alignment
        self.vtables[vtable] = self.blocking
        counts = self.alloc(16 + self.size(self.blocking))
        self.put(counts, 1)
        self.put(counts + 8, 1)
        self.mutex = self.value(self.blocking, counts + 16)
        (place,) = self.fill_vec(self.inner(1)["mutex_list"], 1, 1)
        self.put(place.address, counts)
        self.put(place.address + 8, vtable)
        (one,) = self.fill_vec(self.guarded(self.mutex["inner"])["wait_queue"], 1, 1)
        self.link(one, self.threads[13])

    def _write_timers(self) -> None:
        timer = self.struct("os::TimerCondVar", [
            ("expire_ms", self.u64), ("task", self.arc_of(self.task)),
        ])  # fmt: skip
        heap = self.struct("alloc::collections::binary_heap::BinaryHeap<T>",
                           [("data", self.vec_type(timer))], [("T", timer)])  # fmt: skip
        lock = self.static("TIMERS", self.new(self.mutex_of(heap)))
        (first,) = self.fill_vec(self.guarded(lock)["data"], 1, 4)
        self.put(first["expire_ms"].address, DUE)
        self.link(first["task"], self.threads[13])

    def kernel(self, **symbols: Any) -> Kernel:
        return kernel_with(self, "v3", **symbols)
