//! Where each program runs, and the stacks of each.

use crate::apps::{app_data, NUM_APP};
use crate::config::{KERNEL_STACK_SIZE, USER_STACK_SIZE};
use crate::trap::context::TrapContext;

pub const MAX_APP_NUM: usize = 6;
const APP_BASE_ADDRESS: usize = 0x8040_0000;
const APP_SIZE_LIMIT: usize = 0x2_0000;

#[repr(align(4096))]
#[derive(Clone, Copy)]
struct KernelStack {
    data: [u8; KERNEL_STACK_SIZE],
}

#[repr(align(4096))]
#[derive(Clone, Copy)]
struct UserStack {
    data: [u8; USER_STACK_SIZE],
}

// Nothing says that these change, so they are read-only data by their section.
static KERNEL_STACK: [KernelStack; MAX_APP_NUM] = [KernelStack {
    data: [0; KERNEL_STACK_SIZE],
}; MAX_APP_NUM];

static USER_STACK: [UserStack; MAX_APP_NUM] = [UserStack {
    data: [0; USER_STACK_SIZE],
}; MAX_APP_NUM];

impl KernelStack {
    fn top(&self) -> usize {
        self.data.as_ptr() as usize + KERNEL_STACK_SIZE
    }
}

pub fn base_of(app: usize) -> usize {
    APP_BASE_ADDRESS + app * APP_SIZE_LIMIT
}

/// The bounds of the kernel stack of a program.
pub fn kernel_stack_of(app: usize) -> (usize, usize) {
    let top = KERNEL_STACK[app].top();
    (top - KERNEL_STACK_SIZE, top)
}

pub fn load_apps() {
    for app in 0..NUM_APP {
        let bytes = app_data(app);
        // SAFETY: behind the kernel, and far enough from each other.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), base_of(app) as *mut u8, bytes.len());
        }
    }
    // SAFETY: what was written is to be run.
    unsafe { core::arch::asm!("fence.i") };
}

/// Puts a program's first registers on its kernel stack; returns where they are.
pub fn init_app_cx(app: usize) -> usize {
    let user_sp = USER_STACK[app].data.as_ptr() as usize + USER_STACK_SIZE;
    let at = KERNEL_STACK[app].top() - core::mem::size_of::<TrapContext>();
    let context = TrapContext::app_init_context(base_of(app), user_sp);
    // SAFETY: without paging nothing is protected, and this stack is the program's alone.
    unsafe { (at as *mut TrapContext).write_volatile(context) };
    at
}
