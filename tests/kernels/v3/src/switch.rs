//! What a task keeps of its registers when the kernel's code gives the hart to another.

use core::arch::global_asm;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct TaskContext {
    pub ra: usize,
    pub sp: usize,
    pub s: [usize; 12],
}

impl TaskContext {
    pub const fn zero_init() -> Self {
        Self {
            ra: 0,
            sp: 0,
            s: [0; 12],
        }
    }

    /// That of a task which has never run: it starts at `ra`.
    pub fn starting_at(ra: usize, sp: usize) -> Self {
        Self {
            ra,
            sp,
            ..Self::zero_init()
        }
    }
}

global_asm!(
    ".altmacro",
    ".macro each_s what, base",
    "  .set n, 0",
    "  .rept 12",
    "    one_s \\what, \\base, %n",
    "    .set n, n + 1",
    "  .endr",
    ".endm",
    ".macro one_s what, base, number",
    "  \\what s\\number, (\\number + 2) * 8(\\base)",
    ".endm",
    ".section .text",
    ".globl __switch",
    "__switch:",
    "sd ra, 0(a0)",
    "sd sp, 8(a0)",
    "each_s sd, a0",
    "ld ra, 0(a1)",
    "ld sp, 8(a1)",
    "each_s ld, a1",
    "ret",
);

extern "C" {
    pub fn __switch(current: *mut TaskContext, next: *const TaskContext);
}
