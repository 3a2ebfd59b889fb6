//! Who runs, who is ready, who sleeps.

use super::process::KERNEL_PROCESS;
use super::thread::{create_kernel_thread, Thread, ThreadID, IDLE_THREAD_ID};
use crate::config::DEFAULT_PRIORITY;
use crate::interrupt::Context;
use crate::lock::Lock;
use algorithm::Scheduler;
use alloc::sync::Arc;
use core::hash::{BuildHasherDefault, Hasher};
use hashbrown::HashSet;
use lazy_static::lazy_static;

/// The scheduler that the cargo features choose.
#[cfg(not(feature = "scheduler-priority"))]
pub type SchedulerImpl<T> = algorithm::FifoScheduler<T>;
/// The scheduler that the cargo features choose.
#[cfg(feature = "scheduler-priority")]
pub type SchedulerImpl<T> = algorithm::PriorityScheduler<T>;

lazy_static! {
    /// The processor.
    pub static ref PROCESSOR: Lock<Processor> = Lock::new(Processor::default());

    /// Runs when no other thread can: waits for interrupts. It is in no queue.
    static ref IDLE_THREAD: Arc<Thread> = create_kernel_thread(
        KERNEL_PROCESS.clone(),
        wait_for_interrupts as *const () as usize,
        None,
        DEFAULT_PRIORITY,
    );
}

/// The threads of the machine's one hart.
#[derive(Default)]
pub struct Processor {
    /// The thread that runs, or that was interrupted by the trap being handled.
    current_thread: Option<Arc<Thread>>,
    /// The threads that could run.
    scheduler: SchedulerImpl<Arc<Thread>>,
    /// The threads that wait to be woken.
    sleeping_threads: HashSet<Arc<Thread>, BuildHasherDefault<ThreadHasher>>,
}

/// Makes the idle thread, so that it is the one with the number 0.
pub(super) fn init() {
    assert_eq!(IDLE_THREAD.id, IDLE_THREAD_ID);
}

/// Whether `thread` is the idle thread.
pub fn is_idle(thread: &Thread) -> bool {
    thread.id == IDLE_THREAD_ID
}

extern "C" fn wait_for_interrupts() {
    loop {
        riscv::asm::wfi();
    }
}

impl Processor {
    /// The thread that runs, if threads run at all.
    pub fn current_thread(&self) -> Option<&Arc<Thread>> {
        self.current_thread.as_ref()
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &SchedulerImpl<Arc<Thread>> {
        &self.scheduler
    }

    /// The threads that wait to be woken, in no order.
    pub fn sleeping_threads(&self) -> impl Iterator<Item = &Arc<Thread>> {
        self.sleeping_threads.iter()
    }

    /// Makes a new thread ready.
    #[inline(never)] // a place to trace, also in a release build
    pub fn add_thread(&mut self, thread: Arc<Thread>) {
        let priority = thread.priority;
        self.scheduler.set_priority(thread.clone(), priority);
        self.scheduler.add_thread(thread);
    }

    /// Puts the Context of the thread whose turn it is on the kernel stack: a ready one, or the idle thread
    /// while others sleep. When there are no threads left, the scenario has ended.
    #[inline(never)] // a place to trace, also in a release build
    pub fn prepare_next_thread(&mut self) -> *mut Context {
        let next = match self.scheduler.get_next() {
            Some(thread) => thread,
            None if self.sleeping_threads.is_empty() => (super::hooks().all_threads_finished)(),
            None => IDLE_THREAD.clone(),
        };
        let context = next.prepare();
        self.current_thread = Some(next);
        context
    }

    /// Takes the hart from the running thread, which had `context`: a dead one is forgotten, one that sleeps
    /// joins the sleeping ones, any other is ready again.
    #[inline(never)] // a place to trace, also in a release build
    pub fn park_current_thread(&mut self, context: &Context) {
        let thread = self.current_thread.take().expect("a thread runs");
        let (sleeping, dead) = {
            let inner = thread.inner();
            (inner.sleeping, inner.dead)
        };
        if dead {
            self.scheduler.remove_thread(&thread);
            return;
        }
        thread.park(*context);
        if sleeping {
            self.sleeping_threads.insert(thread);
        } else if !is_idle(&thread) {
            self.scheduler.add_thread(thread);
        }
    }

    /// Ends the running thread, which does not come back from its trap.
    #[inline(never)] // a place to trace, also in a release build
    pub fn kill_current_thread(&mut self) {
        let thread = self.current_thread.take().expect("a thread runs");
        thread.inner().dead = true;
        self.scheduler.remove_thread(&thread);
    }

    /// Marks the running thread dead; it gives the hart away at its next trap.
    #[inline(never)] // a place to trace, also in a release build
    pub fn mark_current_thread_dead(&mut self) {
        let thread = self.current_thread.as_ref().expect("a thread runs");
        thread.inner().dead = true;
    }

    /// Marks the running thread as sleeping; it gives the hart away at its next trap.
    #[inline(never)] // a place to trace, also in a release build
    pub fn mark_current_thread_sleeping(&mut self) -> Arc<Thread> {
        let thread = self.current_thread.as_ref().expect("a thread runs");
        thread.inner().sleeping = true;
        thread.clone()
    }

    /// Whether the running thread has died or gone to sleep, and only waits for the handler to notice.
    pub fn current_thread_has_left(&self) -> bool {
        self.current_thread.as_ref().is_some_and(|thread| {
            let inner = thread.inner();
            inner.sleeping || inner.dead
        })
    }

    /// Makes a sleeping thread ready; one that does not sleep stays what it is.
    #[inline(never)] // a place to trace, also in a release build
    pub fn wake_thread(&mut self, thread: &Arc<Thread>) {
        if let Some(thread) = self.sleeping_threads.take(thread) {
            thread.inner().sleeping = false;
            self.scheduler.add_thread(thread);
        }
    }
}

/// Hashes a thread's number, the same way in every run.
#[derive(Default)]
pub struct ThreadHasher(u64);

impl Hasher for ThreadHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn write_usize(&mut self, id: ThreadID) {
        // The table takes its place from the low bits and its tag from the high ones: mix them.
        self.0 = (id as u64)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
