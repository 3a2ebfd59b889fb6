//! The stack on which traps are handled.

use super::Context;
use crate::config::KERNEL_STACK_SIZE;
use core::cell::UnsafeCell;
use core::mem::size_of;

/// The one kernel stack. Outside of a trap it is empty and sscratch holds its top; a trap's Context lies at
/// its very top.
pub static KERNEL_STACK: KernelStack = KernelStack(UnsafeCell::new([0; KERNEL_STACK_SIZE]));

/// A stack's bytes, aligned as the calling convention asks.
#[repr(align(16))]
#[repr(C)]
pub struct KernelStack(UnsafeCell<[u8; KERNEL_STACK_SIZE]>);

// SAFETY: there is one hart; who writes to the stack is ruled by sscratch.
unsafe impl Sync for KernelStack {}

impl KernelStack {
    /// The address after the last byte.
    pub fn top(&self) -> usize {
        self.0.get() as usize + KERNEL_STACK_SIZE
    }

    /// Puts `context` at the top of the empty stack and returns its address.
    ///
    /// In a trap handler this replaces the Context of the thread that was interrupted: save that one first.
    pub fn push_context(&self, context: Context) -> *mut Context {
        let place = (self.top() - size_of::<Context>()) as *mut Context;
        // SAFETY: the place is inside the stack and aligned, and nothing but a Context is ever there.
        unsafe { place.write(context) };
        place
    }
}
