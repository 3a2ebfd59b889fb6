//! `breakpoint`: `ebreak` in its 4-byte and its 2-byte form, before there are threads and in a thread.
//!
//! After each of them the very next instruction runs, and no register has changed.

use super::{no_tick, Scenario};
use crate::config::DEFAULT_PRIORITY;
use crate::process::{create_kernel_thread, KERNEL_PROCESS, PROCESSOR};
use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

pub const SCENARIO: Scenario = Scenario {
    name: "breakpoint",
    prepare,
    on_tick: no_tick,
    finish,
};

/// How many times each form is executed, in each place.
const ROUNDS: usize = 3;

static PASSED: AtomicUsize = AtomicUsize::new(0);

// break_wide(after, pattern) and break_compressed: give register xN the value pattern + N, but a0 (after) and
// sp; break; add 1 to t0 by an instruction of 2 bytes, which is skipped or cut in half if the handler steps by the
// wrong length; write all registers to after[N], and the address of the breakpoint to after[0].
global_asm!(
    ".cfi_sections .debug_frame",
    ".section .text.break_tests, \"ax\", @progbits",
    ".macro FILL n",
    "    addi x\\n, a1, \\n",
    ".endm",
    ".macro STORE n",
    "    sd x\\n, \\n*8(a0)",
    ".endm",
    ".macro BREAK_TEST name, option",
    ".globl \\name",
    ".type \\name, @function",
    "\\name:",
    ".cfi_startproc",
    // ra, gp, tp and s0 to s11
    "    addi sp, sp, -256",
    ".cfi_def_cfa_offset 256",
    "    .irp n, 1,3,4,8,9,18,19,20,21,22,23,24,25,26,27",
    "    sd x\\n, \\n*8(sp)",
    "    .endr",
    ".cfi_offset ra, 8 - 256",
    "    .irp n, 1,3,4,5,6,7,8,9,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "    FILL \\n",
    "    .endr",
    "    FILL 11",
    ".option push",
    ".option \\option",
    "8:  ebreak",
    ".option rvc",
    "    c.addi t0, 1",
    ".option pop",
    "    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "    STORE \\n",
    "    .endr",
    "    lla t0, 8b",
    "    sd t0, 0(a0)",
    "    .irp n, 1,3,4,8,9,18,19,20,21,22,23,24,25,26,27",
    "    ld x\\n, \\n*8(sp)",
    "    .endr",
    "    addi sp, sp, 256",
    "    ret",
    ".cfi_endproc",
    ".size \\name, . - \\name",
    ".endm",
    "BREAK_TEST break_wide, norvc",
    "BREAK_TEST break_compressed, rvc",
    ".previous",
);

extern "C" {
    fn break_wide(after: *mut [usize; 32], pattern: usize);
    fn break_compressed(after: *mut [usize; 32], pattern: usize);
}

type BreakTest = unsafe extern "C" fn(*mut [usize; 32], usize);

fn prepare() {
    println!("on the boot stack:");
    rounds();
    PROCESSOR.lock().add_thread(create_kernel_thread(
        KERNEL_PROCESS.clone(),
        breaking_process as *const () as usize,
        None,
        DEFAULT_PRIORITY,
    ));
}

extern "C" fn breaking_process() {
    println!("in a thread:");
    rounds();
}

fn rounds() {
    for round in 1..ROUNDS + 1 {
        check(break_wide, 4, round);
        check(break_compressed, 2, round);
    }
}

fn check(test: BreakTest, length: usize, round: usize) {
    let pattern = 0xb4ea_0000_0000_0000 | length << 32 | round << 16;
    let mut after = [0; 32];
    // SAFETY: both functions write the 32 words and keep the calling convention; the handler resumes them.
    unsafe { test(&mut after, pattern) };
    let changed = (1..32)
        // sp and a0 are in use; t0 is the one that the next instruction counts up.
        .filter(|n| ![2, 10].contains(n))
        .find(|&n| after[n] != pattern + n + usize::from(n == 5));
    if let Some(n) = changed {
        panic!("x{} is {:#x} after the breakpoint", n, after[n]);
    }
    assert_eq!(after[10], &after as *const _ as usize);
    println!(
        "resumed at {:#x} after the {}-byte ebreak, registers unchanged, s1={:#x} t1={:#x}",
        after[0] + length,
        length,
        after[9],
        after[6]
    );
    PASSED.fetch_add(1, Ordering::Relaxed);
}

fn finish() {
    // Both forms, in both places.
    assert_eq!(PASSED.load(Ordering::Relaxed), 4 * ROUNDS);
}
