//! Traps through a page that lies at the same place in every table.

#[path = "high_context.rs"]
pub mod context;

use crate::config::{TIME_SLICE, TRAMPOLINE};
use crate::syscall::syscall;
use crate::task::{
    check_timer, current_trap_cx, current_trap_cx_user_va, current_user_token,
    exit_current_and_run_next, suspend_current_and_run_next,
};
use core::arch::{asm, global_asm};

global_asm!(
    include_str!("../registers.S"),
    ".section .text.trampoline",
    ".globl __alltraps",
    ".globl __restore",
    ".balign 4",
    "__alltraps:",
    "csrrw sp, sscratch, sp",
    "sd x1, 8(sp)",
    "each_x sd, sp, 3",
    "csrr t0, sstatus",
    "csrr t1, sepc",
    "csrr t2, sscratch",
    "sd t0, 32 * 8(sp)",
    "sd t1, 33 * 8(sp)",
    "sd t2, 2 * 8(sp)",
    "ld t0, 34 * 8(sp)",
    "ld t1, 36 * 8(sp)",
    "ld sp, 35 * 8(sp)",
    "csrw satp, t0",
    "sfence.vma",
    "jr t1",
    // a0 is where the registers are, a1 the table in which that is so.
    "__restore:",
    "csrw satp, a1",
    "sfence.vma",
    "csrw sscratch, a0",
    "mv sp, a0",
    "ld t0, 32 * 8(sp)",
    "ld t1, 33 * 8(sp)",
    "csrw sstatus, t0",
    "csrw sepc, t1",
    "ld x1, 8(sp)",
    "each_x ld, sp, 3",
    "ld sp, 2 * 8(sp)",
    "sret",
);

extern "C" {
    fn __alltraps();
    fn __restore();
}

pub fn init() {
    catch_kernel_traps();
    bare::write_csr!("sie", 1 << 5);
    bare::timer_in(TIME_SLICE);
}

fn catch_kernel_traps() {
    bare::write_csr!("stvec", trap_from_kernel as *const () as usize);
}

#[no_mangle]
pub extern "C" fn trap_handler() -> ! {
    const TIMER: usize = 1 << 63 | 5;
    catch_kernel_traps();
    match bare::read_csr!("scause") {
        8 => {
            let cx = current_trap_cx();
            cx.sepc += 4;
            let result = syscall(cx.x[17], [cx.x[10], cx.x[11], cx.x[12]]);
            // Another one after a program was replaced.
            current_trap_cx().x[10] = result as usize;
        }
        TIMER => {
            bare::timer_in(TIME_SLICE);
            check_timer();
            suspend_current_and_run_next();
        }
        cause => {
            bare::println!("cause {cause:#x} at {:#x}: killed", current_trap_cx().sepc);
            exit_current_and_run_next(-2);
        }
    }
    trap_return()
}

#[no_mangle]
pub fn trap_return() -> ! {
    bare::write_csr!("stvec", TRAMPOLINE);
    let entry = __alltraps as *const () as usize;
    let restore = __restore as *const () as usize - entry + TRAMPOLINE;
    // SAFETY: that page is in both tables.
    unsafe {
        asm!(
            "fence.i",
            "jr {restore}",
            restore = in(reg) restore,
            in("a0") current_trap_cx_user_va(),
            in("a1") current_user_token(),
            options(noreturn),
        );
    }
}

#[no_mangle]
pub extern "C" fn trap_from_kernel() -> ! {
    panic!(
        "trap {:#x} in the kernel at {:#x}, stval {:#x}",
        bare::read_csr!("scause"),
        bare::read_csr!("sepc"),
        bare::read_csr!("stval")
    )
}
