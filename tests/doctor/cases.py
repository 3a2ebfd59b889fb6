"""The cases: each a fault that students make, by the numbers of the doctor's classes.

A fault has several right names where several rules are true of it. What a kernel says when it gives
up (RC0101) follows from what went wrong before, and is right below it.
"""

from tests.doctor import Case, Edit

_PANICS = ("RC0101",)


def v3(name: str, codes: str, *edits: tuple[str, str, str], kernel: str = "ch5",
       words: str = "") -> Case:  # fmt: skip
    """A fault of the kernel in the shape of rCore-Tutorial-v3."""
    changed = tuple(Edit(*edit) for edit in edits)
    return Case(f"v3-{name}", kernel, tuple(codes.split()), changed, "", tuple(words.split()),
                _PANICS)  # fmt: skip


def sample(name: str, codes: str, words: str, *edits: tuple[str, str, str]) -> Case:
    """A fault of the sample kernel."""
    changed = tuple(Edit(*edit) for edit in edits)
    return Case(name, "sample", tuple(codes.split()), changed, "", tuple(words.split()), _PANICS)


def mutant(name: str, codes: str, words: str) -> Case:
    """One of tests/mutants."""
    return Case(name, "sample", tuple(codes.split()), (), name, tuple(words.split()), _PANICS)


_BOOTED = "    task::add_initproc();\n"


def _at_boot(code: str) -> tuple[str, str, str]:
    """Something that the kernel of ch5 does before the first program."""
    return ("bin/ch5.rs", _BOOTED, f"{_BOOTED}    {code}\n")


_PREPARE = "fn prepare() {\n    let kernel_process"


def _in_scenario(code: str) -> tuple[str, str, str]:
    """Something that the sample kernel does before its threads run."""
    return ("os/src/scenarios/threads.rs", _PREPARE, _PREPARE.replace("{\n", f"{{\n    {code}\n"))


FAULTY = (
    v3("gives-up", "RC0101", _at_boot('panic!("not written yet");')),
    v3("option-none", "RC0101", _at_boot("core::hint::black_box(None::<usize>).unwrap();")),
    v3("device-not-mapped", "RC0201",
       _at_boot("unsafe { core::ptr::read_volatile(0x1000_0005 as *const u8) };")),
    v3("nothing-there", "RC0201",
       _at_boot("unsafe { core::ptr::write_volatile(0x9_0000_0000 as *mut u64, 1) };")),
    v3("text-not-mapped", "RC0201 RC0209 RC0210",
       ("mm/memory_set.rs", "(srodata, erodata as *const () as usize, P::R),",
        "(srodata, srodata as *const () as usize, P::R),")),
    v3("program-without-u", "RC0202",
       ("mm/memory_set.rs", "let all = P::R | P::W | P::X | P::U;",
        "let all = P::R | P::W | P::X;")),
    v3("program-without-x", "RC0203",
       ("mm/memory_set.rs", "let all = P::R | P::W | P::X | P::U;",
        "let all = P::R | P::W | P::U;")),
    v3("user-page-touched", "RC0202",
       ("ch5/syscall.rs", "GETPID => current_task()",
        "GETPID => {\n            let byte = unsafe { *(0x1_0000 as *const u8) };\n"
        "            byte as isize + current_task()"),
       ("ch5/syscall.rs", "unwrap().pid.0 as isize,", "unwrap().pid.0 as isize\n        }"),
       ("ch5/init.S", "app_0_start:\n", "app_0_start:\n    syscall 172\n")),
    v3("text-written", "RC0203",
       _at_boot("unsafe { core::ptr::write_volatile(task::add_initproc as *mut u32, 1) };")),
    v3("rodata-written", "RC0203",
       _at_boot('unsafe { core::ptr::write_volatile("text".as_ptr() as *mut u8, 1) };')),
    v3("null", "RC0205",
       _at_boot("unsafe { core::ptr::read_volatile(core::hint::black_box(24) as *const u64) };")),
    v3("program-privileged", "RC0206",
       ("ch5/init.S", "app_0_start:\n", "app_0_start:\n    csrr t0, sstatus\n")),
    v3("illegal", "RC0206",
       _at_boot('unsafe { core::arch::asm!(".4byte 0xffffffff") };')),
    v3("kernel-recursion", "RC0208 RC0501",
       ("ch5/syscall.rs", "GETPID => current_task()",
        "GETPID => deeper(1) + current_task()"),
       ("ch5/syscall.rs", "pub fn syscall(",
        "#[allow(unconditional_recursion)]\nfn deeper(n: isize) -> isize {\n"
        "    let kept = core::hint::black_box([n; 64]);\n    deeper(n + 1) + kept[3]\n}\n\n"
        "pub fn syscall("),
       ("ch5/init.S", "app_0_start:\n", "app_0_start:\n    syscall 172\n")),
    v3("sscratch-not-set", "RC0209 RC0210",
       ("trap/high.rs", '    "csrw sscratch, a0",\n', "")),
    v3("sepc-not-advanced", "RC0212",
       ("trap/high.rs", "            cx.sepc += 4;\n", "")),
    v3("sepc-by-two", "RC0206 RC0212",
       ("trap/high.rs", "            cx.sepc += 4;\n", "            cx.sepc += 2;\n")),
    v3("stvec-of-the-kernel", "RC0213 RC0209 RC0201 RC0210",
       ("trap/high.rs", 'bare::write_csr!("stvec", TRAMPOLINE);',
        'bare::write_csr!("stvec", TRAMPOLINE + 8);')),
    v3("wrong-root", "RC0301",
       ("ch5/task.rs", "    let task = current_task().unwrap();\n"
        "    let inner = task.inner_exclusive_access();\n    inner.memory_set.token()",
        "    let inner = INITPROC.inner_exclusive_access();\n    inner.memory_set.token()")),
    v3("running-in-the-queue", "RC0401",
       ("ch5/task.rs", "    inner.task_status = TaskStatus::Ready;\n    let from",
        "    let from"), words="--at add_task:4"),
    v3("queued-twice", "RC0401",
       ("ch5/task.rs", "    drop(inner);\n    add_task(task);",
        "    drop(inner);\n    add_task(task.clone());\n    add_task(task);"),
       words="--at fetch_task:5"),
    v3("starts-nowhere", "RC0402",
       ("ch5/task.rs", "starting_at(trap_return as *const () as usize, top)",
        "starting_at(0, top)")),
    v3("no-stack", "RC0402 RC0209 RC0208",
       ("ch5/task.rs", "starting_at(trap_return as *const () as usize, top)",
        "starting_at(trap_return as *const () as usize, top + 4096)")),
    v3("borrowed-over-a-switch", "RC0801",
       ("ch5/task.rs", "    drop(inner);\n    add_task(task);\n    schedule(from);",
        "    add_task(task.clone());\n    schedule(from);")),
    v3("processor-borrowed", "RC0801",
       ("ch5/processor.rs", "    drop(processor);\n    // SAFETY: `run_tasks`",
        "    // SAFETY: `run_tasks`")),
    v3("borrowed-twice", "RC0801",
       ("ch5/task.rs", "    let memory_set = MemorySet::from_existed_user(&parent.memory_set);",
        "    let memory_set =\n"
        "        MemorySet::from_existed_user(&self.inner_exclusive_access().memory_set);")),
    v3("heap-too-large", "RC0701",
       _at_boot("core::hint::black_box(alloc::vec::Vec::<u8>::with_capacity(1 << 24));")),
    v3("frame-free-twice", "RC0601",
       ("mm/frame_allocator.rs",
        "        assert!(ppn.0 < self.current && !self.recycled.contains(&ppn.0));\n",
        "        self.recycled.push(ppn.0);\n"), words="--at wait_for_child:3"),
    v3("neighbour-freed", "RC0602 RC0604",
       ("mm/frame_allocator.rs",
        "        assert!(ppn.0 < self.current && !self.recycled.contains(&ppn.0));\n"
        "        self.recycled.push(ppn.0);",
        "        self.recycled.push(ppn.0 - 8);"), words="--at wait_for_child:3"),
    v3("tracker-forgotten", "RC0602 RC0604",
       ("mm/memory_set.rs", "                    self.data_frames.insert(vpn, frame);\n", ""),
       words="--at syscall:3"),
    sample("device-not-mapped", "RC0201", "",
           _in_scenario("unsafe { (0x1000_2000 as *const u8).read_volatile() };")),
    sample("null", "RC0205", "", _in_scenario(
        "unsafe { core::hint::black_box(16 as *const u8).read_volatile() };")),
    sample("text-written", "RC0203", "",
           _in_scenario("unsafe { (sample_process as *mut u32).write_volatile(0) };")),
    sample("heap-too-large", "RC0701", "", _in_scenario(
        "core::hint::black_box(alloc::vec::Vec::<u8>::with_capacity(1 << 26));")),
    sample("deep-thread", "RC0208 RC0501", "",
           ("os/src/scenarios/threads.rs", "extern \"C\" fn sample_process(id: usize) {\n",
            "#[allow(unconditional_recursion)]\nfn recurse(n: usize) -> usize {\n"
            "    let kept = core::hint::black_box([n; 40]);\n    recurse(n + 1) + kept[7]\n}\n\n"
            "extern \"C\" fn sample_process(id: usize) {\n    recurse(id);\n")),
    sample("illegal", "RC0206", "",
           ("os/src/scenarios/threads.rs", "    println!(\"hello from kernel thread {}\", id);",
            "    unsafe { core::arch::asm!(\".4byte 0xffffffff\") };\n"
            "    println!(\"hello from kernel thread {}\", id);")),
    mutant("sscratch-not-restored", "RC0209", ""),
    mutant("sepc-not-advanced", "RC0212", "--scenario breakpoint"),
    mutant("sepc-always-4", "RC0212 RC0206", "--scenario breakpoint"),
    mutant("stvec-vectored", "RC0213", ""),
    mutant("satp-wrong-root", "RC0201 RC0203 RC0209 RC0210 RC0301", ""),
    mutant("satp-not-switched", "RC0301", "--scenario processes --at handle_interrupt:6"),
    mutant("text-writable", "RC0305", ""),
    mutant("data-not-writable", "RC0203", ""),
    mutant("bss-not-writable", "RC0203", ""),
    mutant("heap-too-small", "RC0701", "--scenario heap"),
    mutant("dead-thread-requeued", "RC0401 RC0402", "--at handle_interrupt:12"),
    mutant("sleeper-stays-ready", "RC0401", "--scenario sleepers --at handle_interrupt:8"),
    mutant("stack-shared", "RC0402 RC0501", ""),
    mutant("double-free-accepted", "RC0601", "--scenario frames"),
    mutant("frame-handed-out-twice", "RC0602 RC0604 RC0601",
           "--scenario mapping --at handle_interrupt"),
    mutant("interrupts-on-in-handler", "RC0211", "--append interval=1000"),
    mutant("unmap-leaves-entry", "RC0302 RC0602", "--scenario mapping"),
    mutant("guard-page-missing", "RC0501 RC0208", "--scenario processes"),
)  # fmt: skip
"""Faults, with the codes that name them."""

_SAMPLE = ("threads", "heap", "frames", "mapping", "breakpoint", "timer", "registers",
           "preempt --append ticks=9", "processes", "sleepers")  # fmt: skip
_STOPS = ("", "--at handle_interrupt:9", "--at prepare_next_thread:4", "--at dealloc:3")

HEALTHY = tuple(
    Case(f"healthy-{scenario.split()[0]}{number or ''}", "sample",
         words=("--scenario", *scenario.split(), *stop.split()))
    for scenario in _SAMPLE
    for number, stop in enumerate(_STOPS)
) + tuple(
    Case(f"healthy-v3-{kernel}{number or ''}", kernel, words=tuple(stop.split()))
    for kernel in ("ch4", "ch5", "ch8")
    for number, stop in enumerate(("", "--at trap_handler:20", "--at frame_alloc:40",
                                   "--at insert_framed_area:3"))
)  # fmt: skip
"""Kernels without a fault, stopped here and there: nothing above a note."""
