//! First in, first out.

use super::Scheduler;
use alloc::collections::LinkedList;

/// Runs the threads in turn; priorities mean nothing to it.
pub struct FifoScheduler<ThreadType: Clone + Eq> {
    /// The ready threads, the next to run first.
    pool: LinkedList<ThreadType>,
}

impl<ThreadType: Clone + Eq> Default for FifoScheduler<ThreadType> {
    fn default() -> Self {
        Self {
            pool: LinkedList::new(),
        }
    }
}

impl<ThreadType: Clone + Eq> Scheduler<ThreadType> for FifoScheduler<ThreadType> {
    #[inline(never)] // a place to trace, also in a release build
    fn add_thread(&mut self, thread: ThreadType) {
        self.pool.push_back(thread);
    }

    #[inline(never)] // a place to trace, also in a release build
    fn get_next(&mut self) -> Option<ThreadType> {
        self.pool.pop_front()
    }

    fn remove_thread(&mut self, thread: &ThreadType) {
        for _ in 0..self.pool.len() {
            if let Some(other) = self.pool.pop_front() {
                if other != *thread {
                    self.pool.push_back(other);
                }
            }
        }
    }

    fn set_priority(&mut self, _thread: ThreadType, _priority: usize) {}

    fn for_each_ready(&self, visit: &mut dyn FnMut(usize, &ThreadType)) {
        for (position, thread) in self.pool.iter().enumerate() {
            visit(position, thread);
        }
    }
}
