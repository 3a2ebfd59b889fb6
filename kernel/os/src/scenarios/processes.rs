//! `processes`: processes (`processes=`, 2) beside the kernel's with a kernel thread each, and one with a thread in
//! U-mode. Each has its own frame at the same address, and finds its own value there through `ticks=` (5) ticks.
//!
//! Prints `process N: VA -> PA rights` for each: a witness for a debugger that looks at another address space.

use super::mapping::show;
use super::{no_tick, Scenario};
use crate::boot;
use crate::config::{DEFAULT_PRIORITY, PAGE_SIZE};
use crate::interrupt::timer;
use crate::memory::mapping::{Flags, MapType, Segment};
use crate::memory::{PhysicalAddress, Range, VirtualAddress};
use crate::process::{create_kernel_thread, Process, Thread, KERNEL_PROCESS, PROCESSOR};
use crate::syscall;
use alloc::format;
use alloc::sync::Arc;
use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};
use riscv::register::sstatus;

pub const SCENARIO: Scenario = Scenario {
    name: "processes",
    prepare,
    on_tick: no_tick,
    finish,
};

/// The most processes with a kernel thread: each costs half a megabyte of page tables and stack.
const MAX_PROCESSES: usize = 16;

/// How many ticks each thread looks on, unless the boot arguments say `ticks=`.
const DEFAULT_TICKS: usize = 5;

/// Where every process has a page of its own.
const PLACE: usize = 0x4000_0000;

/// Where the program for U-mode is copied to.
const PROGRAM: usize = 0x1_0000;

static FINISHED: AtomicUsize = AtomicUsize::new(0);

// The program for U-mode, entered with a0 = the place, a1 = the value found there, a2 = how many ticks to look on.
// It is data to the kernel, and runs wherever it is copied to.
global_asm!(
    ".section .rodata.user_program, \"a\", @progbits",
    ".balign 4",
    "user_program_start:",
    "    mv s0, a0",
    "    mv s1, a1",
    "    mv s2, a2",
    "    lla a1, 7f",
    "    li a2, 8f - 7f",
    "    li a0, 1",
    "    li a7, {write}",
    "    ecall",
    "    ld t1, 0(s0)",
    "    bne t1, s1, 6f",
    "    li a7, {ticks}",
    "    ecall",
    "    add s2, s2, a0",
    // A new value all the time: the place is its own alone.
    "1:  li t0, 1000",
    "2:  ld t1, 0(s0)",
    "    bne t1, s1, 6f",
    "    addi s1, s1, 1",
    "    sd s1, 0(s0)",
    "    addi t0, t0, -1",
    "    bnez t0, 2b",
    "    li a7, {ticks}",
    "    ecall",
    "    bltu a0, s2, 1b",
    "    lla a1, 8f",
    "    li a2, 9f - 8f",
    "    li a0, 1",
    "    li a7, {write}",
    "    ecall",
    "    li a0, 0",
    "3:  li a7, {exit}",
    "    ecall",
    "6:  li a0, 1",
    "    j 3b",
    "7:  .ascii \"hello from U-mode\\n\"",
    "8:  .ascii \"U-mode: its own value all the time\\n\"",
    "9:",
    "user_program_end:",
    ".previous",
    write = const syscall::WRITE,
    exit = const syscall::EXIT,
    ticks = const syscall::TICKS,
);

extern "C" {
    fn user_program_start();
    fn user_program_end();
}

fn count() -> usize {
    boot::at_most("processes", 2, MAX_PROCESSES)
}

fn ticks() -> usize {
    boot::positive("ticks", DEFAULT_TICKS)
}

/// What process `number` finds at the place; it counts up from there.
const fn first_value(number: usize) -> usize {
    number << 32
}

fn prepare() {
    let mapping = KERNEL_PROCESS
        .inner()
        .memory_set
        .mapping
        .lookup(VirtualAddress(PLACE));
    assert_eq!(mapping, None, "the kernel's process has no page there");
    for number in 1..count() + 1 {
        let process = Process::new_kernel().expect("there are frames");
        add_place(number, &process);
        start(create_kernel_thread(
            process,
            kernel_part as *const () as usize,
            Some(&[number]),
            DEFAULT_PRIORITY,
        ));
    }
    let number = count() + 1;
    let process = Process::new_user().expect("there are frames");
    add_place(number, &process);
    add_program(&process);
    let arguments = [PLACE, first_value(number), ticks()];
    let thread = Thread::new(process, PROGRAM, Some(&arguments), DEFAULT_PRIORITY);
    start(thread.expect("there are frames"));
}

fn start(thread: Arc<Thread>) {
    PROCESSOR.lock().add_thread(thread);
}

/// Gives the process its page.
fn add_place(number: usize, process: &Process) {
    let memory_set = &mut process.inner().memory_set;
    let segment = Segment {
        map_type: MapType::Framed,
        range: Range::from(PLACE..PLACE + PAGE_SIZE),
        flags: Flags::READABLE | Flags::WRITABLE | Flags::USER,
    };
    memory_set
        .add_segment(segment, Some(&first_value(number).to_le_bytes()))
        .expect("the place is free");
    println!(
        "process {}: root page table {:#x}",
        number,
        PhysicalAddress::from(memory_set.mapping.root_ppn()).0
    );
    show(memory_set, &format!("process {}:", number), PLACE);
}

fn add_program(process: &Process) {
    let start = user_program_start as *const () as usize;
    let length = user_program_end as *const () as usize - start;
    // SAFETY: the bytes between the two symbols, which are never written.
    let program = unsafe { core::slice::from_raw_parts(start as *const u8, length) };
    let segment = Segment {
        map_type: MapType::Framed,
        range: Range::from(PROGRAM..PROGRAM + length),
        flags: Flags::READABLE | Flags::EXECUTABLE | Flags::USER,
    };
    process
        .inner()
        .memory_set
        .add_segment(segment, Some(program))
        .expect("the place is free");
    // The frame may have held other instructions before.
    riscv::asm::fence_i();
}

/// What the kernel thread of each process does.
extern "C" fn kernel_part(number: usize) {
    // SAFETY: of the pages for U-mode this thread touches only its own. SUM is part of its Context.
    unsafe { sstatus::set_sum() };
    let place = PLACE as *mut usize;
    let mut expected = first_value(number);
    let end = timer::ticks() + ticks();
    while timer::ticks() < end {
        for _ in 0..1000 {
            // SAFETY: the page is mapped in this process, and no other thread has it.
            let found = unsafe { place.read_volatile() };
            assert_eq!(found, expected, "process {} finds another's value", number);
            expected += 1;
            // SAFETY: as above.
            unsafe { place.write_volatile(expected) };
        }
    }
    println!("process {}: its own value all the time", number);
    FINISHED.fetch_add(1, Ordering::Relaxed);
}

fn finish() {
    assert_eq!(FINISHED.load(Ordering::Relaxed), count());
    assert_eq!(syscall::successful_exits(), 1, "the U-mode thread failed");
}
