//! `preempt`: threads (`threads=`, 3) that never give the hart away, switched by the timer; for ever, or until
//! tick `ticks=`.
//!
//! Thread i has priority i. Each keeps a pattern in its registers, adds them up all the time, and panics
//! if the sum is ever another one: so a register that a trap did not restore is noticed. Once the threads run,
//! every trap is a timer interrupt: tick N is the N-th call of `handle_interrupt`.

use super::Scenario;
use crate::boot;
use crate::process::{create_kernel_thread, is_idle, KERNEL_PROCESS, PROCESSOR};
use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

pub const SCENARIO: Scenario = Scenario {
    name: "preempt",
    prepare,
    on_tick,
    finish: super::nothing,
};

/// The most threads that have counters.
const MAX_THREADS: usize = 64;

// An array of atomics has to be made from a constant.
#[allow(clippy::declare_interior_mutable_const)]
const ZERO: AtomicUsize = AtomicUsize::new(0);

/// How many rounds thread i has made.
static COUNTERS: [AtomicUsize; MAX_THREADS + 1] = [ZERO; MAX_THREADS + 1];

/// How many ticks interrupted thread i.
static SLICES: [AtomicUsize; MAX_THREADS + 1] = [ZERO; MAX_THREADS + 1];

/// What register xN of thread `id` holds is this plus N.
const fn pattern(id: usize) -> usize {
    0x5eed << 48 | id << 32
}

// spin_with_pattern(id, counter, pattern): for ever, s0 to s11, a3 to a7 and t1 to t5 hold the pattern plus
// their number, t6 the sum of these, a0 to a2 the arguments, and t0 what was just computed.
global_asm!(
    ".cfi_sections .debug_frame",
    ".section .text.spin_with_pattern, \"ax\", @progbits",
    ".macro HOLD n",
    "    addi x\\n, a2, \\n",
    ".endm",
    ".macro ADD_UP n",
    "    add t0, t0, x\\n",
    ".endm",
    // x6 to x9, x13 to x30
    ".macro FOR_EACH_PATTERN what",
    "    .irp n, 6,7,8,9,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "        \\what \\n",
    "    .endr",
    ".endm",
    ".globl spin_with_pattern",
    ".type spin_with_pattern, @function",
    "spin_with_pattern:",
    ".cfi_startproc",
    "    addi sp, sp, -16",
    ".cfi_def_cfa_offset 16",
    "    sd ra, 8(sp)",
    ".cfi_offset ra, -8",
    "    FOR_EACH_PATTERN HOLD",
    "    li t0, 0",
    "    FOR_EACH_PATTERN ADD_UP",
    // the sum of the first round, which no register may change
    "    mv t6, t0",
    "1:  li t0, 0",
    "    FOR_EACH_PATTERN ADD_UP",
    "    bne t0, t6, 2f",
    "    ld t0, 0(a1)",
    "    addi t0, t0, 1",
    "    sd t0, 0(a1)",
    "    j 1b",
    "2:  call pattern_lost",
    "    unimp",
    ".cfi_endproc",
    ".size spin_with_pattern, . - spin_with_pattern",
    ".previous",
);

extern "C" {
    fn spin_with_pattern(id: usize, counter: *mut usize, pattern: usize) -> !;
}

fn count() -> usize {
    boot::at_most("threads", 3, MAX_THREADS)
}

fn prepare() {
    let mut processor = PROCESSOR.lock();
    for i in 1..count() + 1 {
        processor.add_thread(create_kernel_thread(
            KERNEL_PROCESS.clone(),
            preempted_process as *const () as usize,
            Some(&[i]),
            i,
        ));
    }
}

/// What each thread does.
extern "C" fn preempted_process(id: usize) {
    println!("thread {} never yields", id);
    let counter = COUNTERS[id].as_ptr();
    // SAFETY: the function keeps to the calling convention as it never returns, and writes only the counter,
    // which this thread alone changes.
    unsafe { spin_with_pattern(id, counter, pattern(id)) }
}

#[no_mangle]
extern "C" fn pattern_lost(id: usize) -> ! {
    panic!("a register of thread {} has changed", id)
}

/// Counts whom the tick interrupted, and ends the run at the last one.
fn on_tick(tick: usize) {
    if let Some(thread) = PROCESSOR.lock().current_thread() {
        if !is_idle(thread) {
            SLICES[thread.id].fetch_add(1, Ordering::Relaxed);
        }
    }
    if boot::optional_number("ticks") != Some(tick) {
        return;
    }
    for id in 1..count() + 1 {
        let rounds = COUNTERS[id].load(Ordering::Relaxed);
        println!(
            "thread {}: {} ticks, {} rounds",
            id,
            SLICES[id].load(Ordering::Relaxed),
            rounds
        );
        assert!(rounds > 0 || tick < count(), "thread {} has never run", id);
    }
    println!("{} ticks, shutting down", tick);
    super::shutdown()
}
