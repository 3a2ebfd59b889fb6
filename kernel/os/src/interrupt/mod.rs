//! Traps: entry and return in `interrupt.asm`, what is saved in [`Context`] and where in [`KERNEL_STACK`],
//! the clock in [`timer`]. What is to be done about a trap needs more than this: see [`crate::handler`].

mod context;
mod kernel_stack;
pub mod timer;

pub use context::Context;
pub use kernel_stack::KERNEL_STACK;

use core::arch::global_asm;
use riscv::register::stvec::{Stvec, TrapMode};
use riscv::register::{sscratch, stvec};

global_asm!(include_str!("interrupt.asm"));

extern "C" {
    fn __interrupt();
    fn __restore(context: usize) -> !;
}

/// Makes traps go to `__interrupt`, on the kernel stack. Interrupts stay off.
pub fn init() {
    // SAFETY: __interrupt is aligned and saves all that it changes; sscratch is what it expects there.
    unsafe {
        sscratch::write(KERNEL_STACK.top());
        stvec::write(Stvec::new(
            __interrupt as *const () as usize,
            TrapMode::Direct,
        ));
    }
}

/// Leaves the current flow of control for good and resumes `context`.
///
/// # Safety
///
/// `context` lies at the top of the kernel stack and holds a state that can be resumed.
pub unsafe fn restore(context: *mut Context) -> ! {
    // SAFETY: the caller's promise is just what __restore asks for.
    unsafe { __restore(context as usize) }
}
