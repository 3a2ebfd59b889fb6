//! Waiting for each other.

use super::processor::PROCESSOR;
use super::sleep::sleep_current_thread;
use super::thread::Thread;
use crate::lock::Lock;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

/// Threads that wait for something to happen.
#[derive(Default)]
pub struct Condvar {
    /// The threads, the one that has waited longest first.
    watchers: Lock<VecDeque<Arc<Thread>>>,
}

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self {
            watchers: Lock::new(VecDeque::new()),
        }
    }

    /// Puts the running thread to sleep until it is notified.
    pub fn wait(&self) {
        sleep_current_thread(|thread| self.watchers.lock().push_back(thread));
    }

    /// Wakes the thread that has waited longest, and returns its number.
    pub fn notify_one(&self) -> Option<usize> {
        let thread = self.watchers.lock().pop_front()?;
        PROCESSOR.lock().wake_thread(&thread);
        Some(thread.id)
    }
}
