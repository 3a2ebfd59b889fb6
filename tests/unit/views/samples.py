"""Kernel states made by hand: a plausible one, a ruined one, and one before anything is there."""

from dataclasses import replace

from rcdbg.model.state import (
    Context,
    FrameAllocator,
    Hart,
    Interval,
    KernelState,
    MappedRange,
    PageTable,
    Place,
    Problem,
    Processor,
    Stack,
    Thread,
    Trap,
)
from rcdbg.riscv.csr import decode

BASE = 0xFFFF_FFFF_8020_0000
HOSTILE = "evil\x1b[2J\x07[bold red]\u202e\r\nname\x9b"


def place(offset: int, symbol: str, inner: int, line: int, file: str = "interrupt") -> Place:
    return Place(BASE + offset, symbol, inner, f"/home/student/kernel/os/src/{file}.rs", line)


HANDLER = place(0x1A34, "os::interrupt::handler::handle_interrupt", 0x10, 48)
SPIN = place(0x4C10, "os::process::thread::sample_process", 0x4E, 112)
IDLE = place(0x2BC8, "os::process::processor::Processor::idle", 0x14, 77)
PARK = place(0x3F00, "os::fs::stdin::Stdin::pop", 0x62, 31)


def registers(seed: int, sp: int) -> tuple[int, ...]:
    values = [(BASE + 0x40000 + 0x58 * i * seed) if i % 3 else i * seed for i in range(32)]
    values[0], values[2], values[1] = 0, sp, SPIN.address
    return tuple(values)


def context(sepc: Place, sp: int, seed: int = 1, sstatus: int = 0x8000_0002_0000_6120) -> Context:
    return Context(
        address=sp - 34 * 8,
        x=registers(seed, sp),
        sstatus=decode("sstatus", sstatus),
        sepc=sepc,
        ra=IDLE,
    )


def hart(scause: int = (1 << 63) | 5) -> Hart:
    csrs = {
        "satp": 0x8000_0000_0008_0268,
        "stvec": BASE + 0x1000,
        "sstatus": 0x8000_0002_0000_6120,
        "sie": 0x222,
        "sip": 0x20,
        "scause": scause,
        "sepc": SPIN.address,
        "stval": 0,
        "sscratch": BASE + 0x6F000,
        "scounteren": 0,
    }
    decoded = tuple(decode(name, value) for name, value in csrs.items())
    return Hart(registers(3, BASE + 0x6EF00), HANDLER, 1, decoded)


def thread(number: int, status: str, position: int | None, sepc: Place | None) -> Thread:
    start = 0x100_0000 + number * 0x80000
    return Thread(
        address=BASE + 0x120000 + number * 0x100,
        id=number,
        status=status,  # type: ignore[arg-type]
        position=position,
        is_user=number % 2 == 1,
        process=BASE + 0x121000,
        stack=Stack(start, start + 0x80000),
        context=None if sepc is None else context(sepc, start + 0x80000 - 0x4B0, number),
        sleeping=status == "sleeping",
        dead=status == "dead",
        priority=number * 10,
    )


def page_table() -> PageTable:
    kernel = BASE - 0x20_0000
    return PageTable(
        mode="Sv39",
        root_ppn=0x80268,
        ranges=(
            MappedRange(0x10000, 0x8030_0000, 3, 4096, "r-xu-", 3, 0, "user program .text"),
            MappedRange(0x100_0000, 0x8031_0000, 128, 4096, "rw-u-", 2, 2, "stack of thread 1"),
            MappedRange(kernel + 0x20_0000, 0x8020_0000, 31, 4096, "r-x--", 31, 0, ".text"),
            MappedRange(kernel + 0x21_F000, 0x8021_F000, 9, 4096, "r----", 9, 0, ".rodata"),
            MappedRange(kernel + 0x22_8000, 0x8022_8000, 64, 4096, "rw---", 22, 17, ".data .bss"),
            MappedRange(kernel + 0x40_0000, 0x8040_0000, 60, 0x20_0000, "rw---", 60, 60, "frames"),
        ),
    )


def frames() -> FrameAllocator:
    return FrameAllocator(
        kind="StackedAllocator",
        managed=Interval(0x80268, 0x88000),
        free=(Interval(0x80290, 0x802A0), Interval(0x802B3, 0x802B4), Interval(0x80400, 0x88000)),
        locked=False,
    )


def processor() -> Processor:
    return Processor(
        scheduler="FifoScheduler",
        current=thread(1, "running", None, None),
        ready=(
            thread(2, "ready", 0, SPIN),
            thread(3, "ready", 1, SPIN),
            thread(4, "ready", 2, IDLE),
        ),
        sleeping=(thread(5, "sleeping", None, PARK),),
        locked=False,
    )


def healthy() -> KernelState:
    """A kernel that handles a timer interrupt, with five threads."""
    trap = Trap(context(SPIN, BASE + 0x6EF00), "supervisor timer interrupt", "handling a trap")
    return KernelState(hart(), trap, page_table(), frames(), processor())


def early() -> KernelState:
    """Before the kernel's first instruction: nothing is there yet."""
    return KernelState(
        Hart((0,) * 32, Place(0x8000_0000), 3, (decode("satp", 0),)),
        Trap(None, None, "the firmware is running: no kernel trap yet"),
        PageTable("bare", 0, (), "paging is off: satp is bare"),
        FrameAllocator("", None, (), None, "FRAME_ALLOCATOR is not initialised yet"),
        Processor("", None, (), (), None, "PROCESSOR is not initialised yet"),
    )


def ruined() -> KernelState:
    """A state full of problems, unknowns and hostile text."""
    bad = (Problem(HOSTILE, "the length 0xdeadbeefdeadbeef is more than RAM holds"),)
    state = healthy()
    broken = context(Place(0xDEAD_BEEF_0BAD_F00D, HOSTILE, 4, HOSTILE, 3), 0x10, 9, 1 << 40)
    unknown = Thread(
        BASE + 8, None, "unknown", None, None, None, None, None, None, None, problems=bad
    )
    outside = replace(thread(7, "ready", 0, SPIN), context=replace(broken, problems=bad))
    csrs = tuple(
        decode(name, value)
        for name, value in {
            "satp": 0x7000_0000_0008_0268,
            "stvec": BASE + 3,
            "sstatus": 1 << 40,
            "scause": 77,
            "sepc": 0xDEAD_BEEF_0BAD_F00D,
        }.items()
    )
    return KernelState(
        replace(state.hart, privilege=None, csrs=csrs),
        Trap(replace(broken, problems=bad), "reserved or custom exception 77", "maybe", bad),
        PageTable(
            "reserved mode 7",
            0x80268,
            (MappedRange(0, 0x8000_0000, 1, 4096, "rwxu-", 0, 0, HOSTILE),),
            problems=bad,
        ),
        FrameAllocator(HOSTILE, None, (Interval(5, 2),), True, "locked", bad),
        Processor(HOSTILE, None, (outside, unknown), (), True, "locked", bad),
        bad,
    )
