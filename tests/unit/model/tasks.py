"""A made-up kernel that lists its threads in its processes, as rCore-Tutorial-v3's ch8 does.

Two processes of one and two threads: one runs, one is ready, one is blocked. The fields lie in an
order that the seed decides, and every name can be another one, which a description has to tell.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.types import CEnumType, Member, StructType, TypeId
from rcdbg.kernels.reading import Overlay
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.value import Value
from rcdbg.riscv import pages, pte
from tests.unit.model.kernels import FakeImage, WorldOfStatics
from tests.unit.model.world import BASE, SIZE

FIRST = BASE + 0x8_0000 >> 12
KERNEL, USERS = FIRST, (FIRST + 1, FIRST + 4)
"""Frames of root tables."""
STACK_TABLES = (FIRST + 7, FIRST + 8)
STACK_PAGE, CONTEXTS, CODE = FIRST + 9, {10: FIRST + 10, 11: FIRST + 11, 20: FIRST + 12}, FIRST + 13
BACK, NEXT, END = FIRST + 14, FIRST + 15, FIRST + 25
"""Of the frame allocator: the first never used, the end, and one that came back."""
STACK_END = 0xFFFF_FFFF_FFFF_F000
USER_PC = 0x1_0000
STATES = (("Ready", 0), ("Running", 1), ("Blocked", 2))
TRAMPOLINE, ENTRY, HANDLER, TASK_START = 0xFFFF_FFFF_FFFF_F000, BASE, BASE + 0x10, BASE + 0x20


class Tasks(WorldOfStatics):
    """Threads 10 (runs) and 11 (blocked) are 0 and 1 of process 1; 20 (ready) is 0 of process 2.

    Threads have `more` fields, as where a student has added some.
    """

    def __init__(
        self, seed: int = 0, other: Mapping[str, str] | None = None, more: Sequence[str] = ()
    ) -> None:
        super().__init__(seed)
        self._more = more
        self._other = other or {}
        words = self.array_of(self.u64, 32)
        self.context = self.made("TrapContext", [("x", words), ("sstatus", self.u64),
            ("sepc", self.u64), ("kernel_sp", self.u64)])  # fmt: skip
        self.switch = self.made("TaskContext", [("ra", self.u64), ("sp", self.u64),
            ("s", self.array_of(self.u64, 12))])  # fmt: skip
        self.ppn = self.wrapped("os::PhysPageNum", self.u64)
        self.vpn = self.wrapped("os::VirtPageNum", self.u64)
        self.status = self.add(CEnumType("os::TaskStatus", 1, STATES))
        self.task_type, self.process_type = self._types()
        self.processes = [self.counted(self.process_type) for _ in range(2)]
        self.threads = {number: self.counted(self.task_type) for number in (10, 11, 20)}
        self._write_process(0, (10, 11))
        self._write_process(1, (20,))
        for number, (process, tid, state) in {10: (0, 0, 1), 11: (0, 1, 2), 20: (1, 0, 0)}.items():
            self._write_thread(number, process, tid, state)
        self._write_statics()
        self._write_tables()

    def name(self, usual: str) -> str:
        """What this kernel calls what is usually called so."""
        return self._other.get(usual, usual)

    def made(self, name: str, fields: Sequence[tuple[str, TypeId]]) -> TypeId:
        """A struct of the kernel's own, under the names of this kernel."""
        return self.struct(
            f"os::{self.name(name)}", [(self.name(field), kind) for field, kind in fields]
        )

    def get(self, value: Value, *usual: str) -> Value:
        """The field that the usual names lead to."""
        for name in usual:
            value = value[self.name(name)]
        return value

    def _types(self) -> tuple[TypeId, TypeId]:
        tracker = self.add(StructType("os::FrameTracker", 8, (Member("ppn", self.ppn, 0),)))
        pair = self.struct("(VirtPageNum, FrameTracker)", [("__0", self.vpn), ("__1", tracker)])
        span = self.made("SimpleRange", [("l", self.vpn), ("r", self.vpn)])
        area = self.made("MapArea", [
            ("vpn_range", span), ("data_frames", self.vec_type(pair)),
            ("map_type", self.add(CEnumType("os::MapType", 1, (("Identical", 0), ("Framed", 1))))),
            ("map_perm", self.struct("os::MapPermission", [("bits", self.u8)])),
        ])  # fmt: skip
        table = self.made("PageTable", [("root_ppn", self.ppn), ("frames", self.vec_type(tracker))])
        self.space = self.made("MemorySet", [("page_table", table), ("areas", self.vec_type(area))])
        res = self.made("TaskUserRes", [("tid", self.u64), ("ustack_base", self.u64)])
        inner = self.made("TaskInner", [
            ("res", self.option(res)), ("trap_cx_ppn", self.ppn), ("task_cx", self.switch),
            ("task_status", self.status), *((name, self.u64) for name in self._more),
        ])  # fmt: skip
        # To the process and back: its type is filled in once there is one.
        process = self.add(StructType("os::ProcessControlBlock", 512, ()))
        task = self.made("TaskControlBlock", [
            ("process", self.arc_of(process)), ("inner", self.mutex_of(inner)),
        ])  # fmt: skip
        own = self.made("ProcessInner", [
            ("memory_set", self.space),
            ("tasks", self.vec_type(self.option_pointer(self.arc_of(task)))),
            ("children", self.vec_type(self.arc_of(process))),
        ])  # fmt: skip
        whole = self.made("ProcessControlBlock", [("pid", self.u64), ("inner", self.mutex_of(own))])
        self.table[process] = self.table.pop(whole)
        return task, process

    def _write_process(self, place: int, threads: Sequence[int]) -> None:
        process = self.behind(self.processes[place])
        self.put(self.get(process, "pid").address, 1 + place)
        inner = self.guarded(self.get(process, "inner"))
        self.put(self.get(inner, "memory_set", "page_table", "root_ppn").address, USERS[place])
        tables = self.get(inner, "memory_set", "page_table", "frames")
        for number, table in enumerate(self.fill_vec(tables, 3, 3)):
            self.put(table.address, USERS[place] + number)
        (area,) = self.fill_vec(self.get(inner, "memory_set", "areas"), 1, 1)
        self.put(self.get(area, "vpn_range", "l").address, USER_PC >> 12)
        self.put(self.get(area, "vpn_range", "r").address, (USER_PC >> 12) + 1)
        self.write(self.get(area, "map_type").address, b"\1")
        self.write(self.get(area, "map_perm")["bits"].address, bytes([pte.R | pte.X | pte.U]))
        (pair,) = self.fill_vec(self.get(area, "data_frames"), 1, 1)
        self.put(pair["__0"].address, USER_PC >> 12)
        self.put(pair["__1"].address, CODE)
        places = self.fill_vec(self.get(inner, "tasks"), len(threads) + 1, len(threads) + 1)
        for where, number in zip(places[1:], threads, strict=True):  # the first place is empty
            self.put(where.address, self.threads[number]["ptr"]["__0"].scalar())

    def _write_thread(self, number: int, process: int, tid: int, state: int) -> None:
        thread = self.behind(self.threads[number])
        self.put(
            self.get(thread, "process").address, self.processes[process]["ptr"]["__0"].scalar()
        )
        inner = self.guarded(self.get(thread, "inner"))
        res = self.get(inner, "res")
        self.put(res.address, 1)
        self.put(self.get(res.variant()[1]["__0"], "tid").address, tid)
        self.put(self.get(inner, "trap_cx_ppn").address, CONTEXTS[number])
        self.write(self.get(inner, "task_status").address, bytes([state]))
        self.put(self.get(inner, "task_cx", "ra").address, TASK_START)
        self.put(self.get(inner, "task_cx", "sp").address, STACK_END - 0x100)
        context = self.value(self.context, CONTEXTS[number] << 12)
        self.put(self.get(context, "sepc").address, USER_PC + number)
        self.put(self.get(context, "kernel_sp").address, STACK_END)

    def _write_statics(self) -> None:
        task = self.arc_of(self.task_type)
        processor = self.made("Processor", [("current", self.option_pointer(task))])
        lock = self.static("PROCESSOR", self.new(self.mutex_of(processor)))
        self._link(self.get(self.guarded(lock), "current"), 10)
        queue = self.vec_type(task, "alloc::collections::vec_deque::VecDeque<T>")
        manager = self.made("TaskManager", [("ready_queue", queue)])
        lock = self.static("TASK_MANAGER", self.new(self.mutex_of(manager)))
        (ready,) = self.fill_vec(self.get(self.guarded(lock), "ready_queue"), 1, 4, 3)
        self._link(ready, 20)
        listed = self.static("PID2PCB", self.new(self.vec_type(self.arc_of(self.process_type))))
        # One is in the list, the other its child.
        (first,) = self.fill_vec(listed, 1, 1)
        self.put(first.address, self.processes[0]["ptr"]["__0"].scalar())
        inner = self.guarded(self.get(self.behind(self.processes[0]), "inner"))
        (child,) = self.fill_vec(self.get(inner, "children"), 1, 1)
        self.put(child.address, self.processes[1]["ptr"]["__0"].scalar())
        space = self.static("KERNEL_SPACE", self.new(self.space))
        self.put(self.get(space, "page_table", "root_ppn").address, KERNEL)
        books = self.made("StackFrameAllocator", [
            ("current", self.u64), ("end", self.u64), ("recycled", self.vec_type(self.u64)),
        ])  # fmt: skip
        lock = self.static("FRAME_ALLOCATOR", self.new(self.mutex_of(books)))
        owner = self.guarded(lock)
        self.put(self.get(owner, "current").address, NEXT)
        self.put(self.get(owner, "end").address, END)
        (back,) = self.fill_vec(self.get(owner, "recycled"), 1, 1)
        self.put(back.address, BACK)

    def _link(self, place: Value, number: int) -> None:
        self.put(place.address, self.threads[number]["ptr"]["__0"].scalar())

    def _write_tables(self) -> None:
        self._entry(KERNEL, pages.index(BASE, 2), BASE >> 12, pte.V | pte.R | pte.W | pte.X)
        middle, bottom = STACK_TABLES
        last = STACK_END - 0x1000
        self._entry(KERNEL, pages.index(last, 2), middle, pte.V)
        self._entry(middle, pages.index(last, 1), bottom, pte.V)
        self._entry(bottom, pages.index(last, 0), STACK_PAGE, pte.V | pte.R | pte.W)
        self._entry(bottom, pages.index(TRAMPOLINE, 0), BASE >> 12, pte.V | pte.R | pte.X)
        for root in USERS:
            self._entry(root, pages.index(USER_PC, 2), root + 1, pte.V)
            self._entry(root + 1, pages.index(USER_PC, 1), root + 2, pte.V)
            slot = pages.index(USER_PC, 0)
            self._entry(root + 2, slot, CODE, pte.V | pte.R | pte.X | pte.U)

    def kernel(
        self,
        overlay: Overlay | None = None,
        root: int = KERNEL,
        pc: int = HANDLER,
        privilege: int = 1,
    ) -> Kernel:
        """The kernel with that table in satp, at that instruction."""
        registers = Registers(pc, (0,) * 32, {"satp": 8 << 60 | root, "sepc": USER_PC}, privilege)
        target = RamTarget(self.memory, BASE, lambda: registers)
        text = SimpleNamespace(name=".text", address=BASE, size=0x1000, flags="ax")
        image: Any = FakeImage(self, [text])
        image.symbols = _Symbols()
        image.physical = lambda va: va if BASE <= va < BASE + SIZE else None
        image.functions = SimpleNamespace(inlined_at=lambda _: [])
        image.call_frames = SimpleNamespace(at=lambda _: None)
        image.lines = SimpleNamespace(lookup=lambda _: None)
        memory = VirtualMemory(target, registers.csrs["satp"], image.physical)
        return Kernel(image, target, registers, memory, overlay or Overlay(family="v3"))

    def _entry(self, table: int, slot: int, frame: int, flags: int) -> None:
        self.put((table << 12) + 8 * slot, frame << 10 | flags)


class _Symbols:
    """The few symbols that are asked for."""

    _known: ClassVar = {
        "__alltraps": ENTRY, "trap_handler": HANDLER, "trap_return": TASK_START,
        "ekernel": FIRST << 12,
    }  # fmt: skip

    def address_of(self, name: str) -> int | None:
        return self._known.get(name)

    def covering(self, address: int) -> SimpleNamespace | None:
        for name, start in self._known.items():
            if start <= address < start + 0x10:
                return SimpleNamespace(name=name, address=start, size=0x10, path=name)
        return None

    def at(self, address: int) -> tuple[str, int] | None:
        found = self.covering(address)
        return None if found is None else (found.name, address - found.address)
