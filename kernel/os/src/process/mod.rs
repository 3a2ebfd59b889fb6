//! Processes, threads, and the processor that runs them.

mod condvar;
mod config;
mod kernel_stack;
mod lock;
#[allow(clippy::module_inception)]
mod process;
mod processor;
mod sleep;
mod thread;

pub use condvar::Condvar;
pub use config::*;
pub use kernel_stack::KERNEL_STACK;
pub use lock::Lock;
pub use process::{Process, KERNEL_PROCESS};
pub use processor::{is_idle, PROCESSOR};
pub use sleep::{sleep_until, wake_due};
pub use thread::{create_kernel_thread, Thread, ThreadID};

use crate::interrupt::{self, timer};

/// Makes the kernel's process, switches to its address space, and makes the idle thread.
pub fn init() {
    KERNEL_PROCESS.inner().memory_set.activate();
    processor::init();
}

/// Starts the clock and the first thread. The boot flow of control ends here.
pub fn start() -> ! {
    timer::init();
    let context = PROCESSOR.lock().prepare_next_thread();
    // SAFETY: prepare_next_thread puts the thread's Context where restore wants it.
    unsafe { interrupt::restore(context) }
}
