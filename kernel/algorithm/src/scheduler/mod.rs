//! Schedulers: who runs next.

mod fifo;
mod priority;

pub use fifo::FifoScheduler;
pub use priority::PriorityScheduler;

/// Decides which of the threads that are ready runs next. The running thread is not among them.
pub trait Scheduler<ThreadType: Clone + Eq>: Default {
    /// Makes a thread ready: a new one, one that was interrupted, or one that was woken.
    fn add_thread(&mut self, thread: ThreadType);

    /// Takes the thread that runs next.
    fn get_next(&mut self) -> Option<ThreadType>;

    /// Forgets a thread that has ended, ready or not.
    fn remove_thread(&mut self, thread: &ThreadType);

    /// Sets a thread's priority; a higher one runs more often. Also before the thread is added.
    fn set_priority(&mut self, thread: ThreadType, priority: usize);

    /// Shows the ready threads, the next to run first, each with its place. Nothing is allocated.
    fn for_each_ready(&self, visit: &mut dyn FnMut(usize, &ThreadType));
}

#[cfg(test)]
mod tests;
