//! Processes, threads, and the processor that runs them.

mod condvar;
#[allow(clippy::module_inception)]
mod process;
mod processor;
mod sleep;
mod thread;

pub use condvar::Condvar;
pub use process::{Process, KERNEL_PROCESS};
pub use processor::{is_idle, PROCESSOR};
pub use sleep::{sleep_until, wake_due};
pub use thread::{create_kernel_thread, Thread, ThreadID};

use crate::interrupt::{self, timer};
use spin::Once;

/// What happens on behalf of whoever made the threads.
pub struct Hooks {
    /// Runs in the timer's handler, after the timer is armed again, with the number of the tick.
    pub on_tick: fn(usize),
    /// Runs when no thread is left.
    pub all_threads_finished: fn() -> !,
}

static HOOKS: Once<Hooks> = Once::new();

/// Makes the kernel's process, switches to its address space, and makes the idle thread.
pub fn init() {
    KERNEL_PROCESS.inner().memory_set.activate();
    processor::init();
}

/// Starts the clock and the first thread. The boot flow of control ends here.
pub fn start(hooks: Hooks) -> ! {
    HOOKS.call_once(|| hooks);
    timer::init();
    let context = PROCESSOR.lock().prepare_next_thread();
    // SAFETY: prepare_next_thread puts the thread's Context where restore wants it.
    unsafe { interrupt::restore(context) }
}

/// What [`start`] was given.
pub fn hooks() -> &'static Hooks {
    HOOKS.get().expect("process::start comes first")
}
