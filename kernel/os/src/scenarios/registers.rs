//! `registers`: threads (`threads=`, 3) that hold a known value in every register while the timer interrupts
//! them, until each was interrupted `ticks=` (10) times.
//!
//! Register xN of thread i holds `i << 48 | N * 0x0101_0101_0101`: the thread's number in the upper 16 bits, N in
//! each byte below. Only x2 must be a stack pointer: the end of the thread's stack minus [`FRAME_SIZE`].
//! From the label `registers_loop` up to `registers_check` this is true of all of them, and a thread spends nearly
//! all of its time there. From `registers_check` on every register is compared; meanwhile one of x5 and x6 at a
//! time, compared itself before and after, holds the value to compare with.

use super::Scenario;
use crate::boot;
use crate::config::DEFAULT_PRIORITY;
use crate::process::{create_kernel_thread, KERNEL_PROCESS, PROCESSOR};
use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

pub const SCENARIO: Scenario = Scenario {
    name: "registers",
    prepare,
    on_tick,
    finish,
};

/// The most threads that have counters.
const MAX_THREADS: usize = 64;

/// How many ticks each thread is to survive, unless the boot arguments say `ticks=`.
const DEFAULT_TICKS: usize = 10;

/// The words of the loop's stack frame, from sp on: first what x0 to x31 should be.
const FRAME_WORDS: usize = 72;
/// Bytes of the loop's stack frame.
const FRAME_SIZE: usize = FRAME_WORDS * 8;
const RETURN_ADDRESS: usize = 32;
const THREAD_ID: usize = 33;
const STOP_POINTER: usize = 34;
const ROUNDS_LEFT: usize = 35;
const LENT: usize = 36;
const LAST_ROUND: usize = 37;
/// What x0 to x31 are, for the report.
const FOUND: usize = 40;

/// After so many rounds a thread gives up, so that the scenario ends even if the timer is dead.
const MAX_ROUNDS: usize = 1 << 22;

// An array of atomics has to be made from a constant.
#[allow(clippy::declare_interior_mutable_const)]
const ZERO: AtomicUsize = AtomicUsize::new(0);

/// How many ticks interrupted thread i in its loop.
static SURVIVED: [AtomicUsize; MAX_THREADS + 1] = [ZERO; MAX_THREADS + 1];

/// 1 while thread i is in its loop.
static IN_LOOP: [AtomicUsize; MAX_THREADS + 1] = [ZERO; MAX_THREADS + 1];

/// Not 0 once thread i has survived enough.
static STOP: [AtomicUsize; MAX_THREADS + 1] = [ZERO; MAX_THREADS + 1];

static FINISHED: AtomicUsize = AtomicUsize::new(0);

// registers_process(id): the whole of a thread, so that sp does not depend on how Rust code was compiled.
global_asm!(
    ".cfi_sections .debug_frame",
    ".section .text.registers_process, \"ax\", @progbits",
    ".macro EXPECT n",
    "    ld x5, \\n*8(sp)",
    "    bne x5, x\\n, registers_mismatch",
    ".endm",
    ".globl registers_process",
    ".type registers_process, @function",
    "registers_process:",
    ".cfi_startproc",
    "    addi sp, sp, -{frame_size}",
    ".cfi_def_cfa_offset {frame_size}",
    "    sd ra, {ra}*8(sp)",
    ".cfi_offset ra, {ra}*8 - {frame_size}",
    "    sd a0, {id}*8(sp)",
    "    mv a1, sp",
    "    call registers_begin",
    "    sd a0, {stop}*8(sp)",
    "    li t0, {max_rounds}",
    "    sd t0, {rounds}*8(sp)",
    "    sd zero, {last}*8(sp)",
    "    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "    ld x\\n, \\n*8(sp)",
    "    .endr",
    ".globl registers_loop",
    "registers_loop:",
    // Nothing is lent here: a tick finds all 31 registers at work.
    "    .rept 1024",
    "    nop",
    "    .endr",
    ".globl registers_check",
    "registers_check:",
    // x5 first, by x6, which comes back from memory and is then compared itself.
    "    sd x6, {lent}*8(sp)",
    "    ld x6, 5*8(sp)",
    "    bne x5, x6, registers_mismatch",
    "    ld x6, {lent}*8(sp)",
    "    .irp n, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "    EXPECT \\n",
    "    .endr",
    "    ld x5, {stop}*8(sp)",
    "    ld x5, 0(x5)",
    "    beqz x5, 1f",
    // The tick may have come in the middle of the comparisons: once more from the start.
    "    ld x5, {last}*8(sp)",
    "    bnez x5, 2f",
    "    addi x5, x5, 1",
    "    sd x5, {last}*8(sp)",
    "1:  ld x5, {rounds}*8(sp)",
    "    addi x5, x5, -1",
    "    sd x5, {rounds}*8(sp)",
    "    beqz x5, 2f",
    "    ld x5, 5*8(sp)",
    "    j registers_loop",
    "2:  ld a0, {id}*8(sp)",
    "    call registers_end",
    "    ld ra, {ra}*8(sp)",
    "    addi sp, sp, {frame_size}",
    ".cfi_remember_state",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore ra",
    "    ret",
    ".cfi_restore_state",
    ".globl registers_mismatch",
    "registers_mismatch:",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "    sd x\\n, ({found} + \\n)*8(sp)",
    "    .endr",
    "    ld a0, {id}*8(sp)",
    "    mv a1, sp",
    "    addi a2, sp, {found}*8",
    "    call registers_lost",
    "    unimp",
    ".cfi_endproc",
    ".size registers_process, . - registers_process",
    ".previous",
    frame_size = const FRAME_SIZE,
    ra = const RETURN_ADDRESS,
    id = const THREAD_ID,
    stop = const STOP_POINTER,
    rounds = const ROUNDS_LEFT,
    lent = const LENT,
    last = const LAST_ROUND,
    found = const FOUND,
    max_rounds = const MAX_ROUNDS,
);

extern "C" {
    fn registers_process(id: usize);
}

/// What register xN of thread `id` should be; for all but x0 and x2.
const fn pattern(id: usize, n: usize) -> usize {
    (id << 48) | (n * 0x0101_0101_0101)
}

fn count() -> usize {
    boot::at_most("threads", 3, MAX_THREADS)
}

fn ticks() -> usize {
    boot::positive("ticks", DEFAULT_TICKS)
}

fn prepare() {
    let mut processor = PROCESSOR.lock();
    for id in 1..count() + 1 {
        processor.add_thread(create_kernel_thread(
            KERNEL_PROCESS.clone(),
            registers_process as *const () as usize,
            Some(&[id]),
            DEFAULT_PRIORITY,
        ));
    }
}

/// Writes what the registers should be, and returns where thread `id` looks whether to stop.
#[no_mangle]
extern "C" fn registers_begin(id: usize, expected: &mut [usize; 32]) -> *mut usize {
    let stack_pointer = expected as *const _ as usize;
    for (n, word) in expected.iter_mut().enumerate() {
        *word = pattern(id, n);
    }
    expected[0] = 0;
    expected[2] = stack_pointer;
    println!(
        "thread {} fills x1 to x31, x1={:#x} sp={:#x}",
        id, expected[1], stack_pointer
    );
    IN_LOOP[id].store(1, Ordering::Relaxed);
    STOP[id].as_ptr()
}

#[no_mangle]
extern "C" fn registers_end(id: usize) {
    IN_LOOP[id].store(0, Ordering::Relaxed);
    let survived = SURVIVED[id].load(Ordering::Relaxed);
    assert!(
        survived >= ticks(),
        "thread {} was interrupted {} times in {} rounds",
        id,
        survived,
        MAX_ROUNDS
    );
    println!(
        "thread {}: all 31 registers survived {} ticks",
        id, survived
    );
    FINISHED.fetch_add(1, Ordering::Relaxed);
}

/// Says which registers are not what they should be.
#[no_mangle]
extern "C" fn registers_lost(id: usize, expected: &[usize; 32], found: &[usize; 32]) -> ! {
    let wrong = |n: &usize| expected[*n] != found[*n];
    // One of the two that are lent holds another's value; that is no loss.
    let lent = |n: &usize| [5, 6].contains(n) && expected.contains(&found[*n]);
    let mut lost = (1..32).filter(wrong).filter(|n| !lent(n)).peekable();
    if lost.peek().is_none() {
        println!("thread {}: x5 or x6 has changed", id);
    }
    for n in lost {
        println!(
            "thread {}: x{} is {:#x} instead of {:#x}",
            id, n, found[n], expected[n]
        );
    }
    panic!("a register of thread {} has changed", id)
}

/// Counts whom the tick interrupted, and lets it end after the last one.
fn on_tick(_tick: usize) {
    let processor = PROCESSOR.lock();
    let Some(thread) = processor.current_thread() else {
        return;
    };
    if IN_LOOP[thread.id].load(Ordering::Relaxed) == 0 {
        return;
    }
    if SURVIVED[thread.id].fetch_add(1, Ordering::Relaxed) + 1 >= ticks() {
        STOP[thread.id].store(1, Ordering::Relaxed);
    }
}

fn finish() {
    assert_eq!(FINISHED.load(Ordering::Relaxed), count());
}
