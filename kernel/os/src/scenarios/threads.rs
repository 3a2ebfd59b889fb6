//! `threads`: threads (`threads=`, 8) that say hello and end.

use super::{no_tick, Scenario};
use crate::boot;
use crate::config::DEFAULT_PRIORITY;
use crate::process::{create_kernel_thread, KERNEL_PROCESS, PROCESSOR};
use core::sync::atomic::{AtomicUsize, Ordering};

pub const SCENARIO: Scenario = Scenario {
    name: "threads",
    prepare,
    on_tick: no_tick,
    finish,
};

static FINISHED: AtomicUsize = AtomicUsize::new(0);

fn count() -> usize {
    boot::positive("threads", 8)
}

fn prepare() {
    let kernel_process = KERNEL_PROCESS.clone();
    let mut processor = PROCESSOR.lock();
    for i in 1..count() + 1 {
        processor.add_thread(create_kernel_thread(
            kernel_process.clone(),
            sample_process as *const () as usize,
            Some(&[i]),
            DEFAULT_PRIORITY,
        ));
    }
}

/// What each thread does.
extern "C" fn sample_process(id: usize) {
    println!("hello from kernel thread {}", id);
    FINISHED.fetch_add(1, Ordering::Relaxed);
}

fn finish() {
    assert_eq!(FINISHED.load(Ordering::Relaxed), count());
}
