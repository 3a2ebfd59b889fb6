//! Traps without paging: the registers are saved on the task's kernel stack.

#[path = "low_context.rs"]
pub mod context;

use crate::config::TIME_SLICE;
use crate::syscall::syscall;
use crate::task::{exit_current_and_run_next, suspend_current_and_run_next};
use context::TrapContext;
use core::arch::global_asm;

global_asm!(
    include_str!("../registers.S"),
    ".section .text",
    ".globl __alltraps",
    ".globl __restore",
    ".balign 4",
    "__alltraps:",
    "csrrw sp, sscratch, sp",
    "addi sp, sp, -34 * 8",
    "sd x1, 8(sp)",
    "each_x sd, sp, 3",
    "csrr t0, sstatus",
    "csrr t1, sepc",
    "csrr t2, sscratch",
    "sd t0, 32 * 8(sp)",
    "sd t1, 33 * 8(sp)",
    "sd t2, 2 * 8(sp)",
    "mv a0, sp",
    "call trap_handler",
    // Runs on for a trap that has been handled, and is where a task starts that has never run.
    "__restore:",
    "ld t0, 32 * 8(sp)",
    "ld t1, 33 * 8(sp)",
    "ld t2, 2 * 8(sp)",
    "csrw sstatus, t0",
    "csrw sepc, t1",
    "csrw sscratch, t2",
    "ld x1, 8(sp)",
    "each_x ld, sp, 3",
    "addi sp, sp, 34 * 8",
    "csrrw sp, sscratch, sp",
    "sret",
);

extern "C" {
    fn __alltraps();
    pub fn __restore(cx: usize);
}

pub fn init() {
    bare::write_csr!("stvec", __alltraps as *const () as usize);
    bare::write_csr!("sie", 1 << 5);
    bare::timer_in(TIME_SLICE);
}

#[no_mangle]
pub extern "C" fn trap_handler(cx: &mut TrapContext) -> &mut TrapContext {
    const TIMER: usize = 1 << 63 | 5;
    match bare::read_csr!("scause") {
        8 => {
            cx.sepc += 4;
            cx.x[10] = syscall(cx.x[17], [cx.x[10], cx.x[11], cx.x[12]]) as usize;
        }
        TIMER => {
            bare::timer_in(TIME_SLICE);
            suspend_current_and_run_next();
        }
        cause => {
            bare::println!("cause {cause:#x} at {:#x}: killed", cx.sepc);
            exit_current_and_run_next(-1);
        }
    }
    cx
}
