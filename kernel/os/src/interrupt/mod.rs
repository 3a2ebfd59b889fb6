//! Traps: entry and return in `interrupt.asm`, the decision in [`handler`], the clock in [`timer`],
//! what U-mode may ask for in [`syscall`].

mod context;
mod handler;
pub mod syscall;
pub mod timer;

pub use context::Context;

use crate::process::KERNEL_STACK;
use core::arch::global_asm;
use riscv::register::stvec::{Stvec, TrapMode};
use riscv::register::{sscratch, sstatus, stvec};

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

/// Turns interrupts off.
pub fn disable() {
    // SAFETY: fewer interrupts break nothing.
    unsafe { sstatus::clear_sie() };
}

/// Interrupts are off as long as this lives; then they are what they were before.
pub struct MaskedInterrupts {
    were_enabled: bool,
}

impl MaskedInterrupts {
    /// Turns interrupts off.
    pub fn new() -> Self {
        let were_enabled = sstatus::read().sie();
        disable();
        Self { were_enabled }
    }
}

impl Drop for MaskedInterrupts {
    fn drop(&mut self) {
        if self.were_enabled {
            // SAFETY: they were on when this was made, so whoever is below can bear them.
            unsafe { sstatus::set_sie() };
        }
    }
}

/// Runs `work` with interrupts off.
pub fn without_interrupts<T>(work: impl FnOnce() -> T) -> T {
    let _masked = MaskedInterrupts::new();
    work()
}
