//! Stride scheduling: shares of the hart in proportion to the priorities.

use super::Scheduler;
use alloc::vec::Vec;

/// How far a thread of priority 1 advances each time it runs.
const STRIDE: u64 = 1 << 20;

/// Runs the thread that is least advanced, and advances it by an amount that shrinks with its priority: a
/// thread of priority 3 runs three times as often as one of priority 1, and nobody starves.
pub struct PriorityScheduler<ThreadType: Clone + Eq> {
    /// Every thread that was heard of and has not ended, ready or not.
    pool: Vec<Entry<ThreadType>>,
    /// How far the thread that ran last had come before it ran. Whoever becomes ready starts there.
    now: u64,
    /// How many times a thread became ready so far.
    turns: u64,
}

/// What is known about one thread.
struct Entry<ThreadType> {
    thread: ThreadType,
    priority: usize,
    /// How far it has advanced.
    pass: u64,
    /// When it became ready, for those that are equally advanced.
    turn: u64,
    ready: bool,
}

impl<ThreadType: Clone + Eq> PriorityScheduler<ThreadType> {
    fn entry(&mut self, thread: ThreadType) -> &mut Entry<ThreadType> {
        let index = match self.pool.iter().position(|entry| entry.thread == thread) {
            Some(index) => index,
            None => {
                self.pool.push(Entry {
                    thread,
                    priority: 1,
                    pass: self.now,
                    turn: 0,
                    ready: false,
                });
                self.pool.len() - 1
            }
        };
        &mut self.pool[index]
    }

    /// The first ready thread that comes after the one with this pass and turn.
    fn next_after(&self, previous: Option<(u64, u64)>) -> Option<usize> {
        (0..self.pool.len())
            .filter(|&index| self.pool[index].ready)
            .filter(|&index| previous < Some(self.pool[index].order()))
            .min_by_key(|&index| self.pool[index].order())
    }
}

impl<ThreadType> Entry<ThreadType> {
    fn order(&self) -> (u64, u64) {
        (self.pass, self.turn)
    }
}

impl<ThreadType: Clone + Eq> Default for PriorityScheduler<ThreadType> {
    fn default() -> Self {
        Self {
            pool: Vec::new(),
            now: 0,
            turns: 0,
        }
    }
}

impl<ThreadType: Clone + Eq> Scheduler<ThreadType> for PriorityScheduler<ThreadType> {
    #[inline(never)] // a place to trace, also in a release build
    fn add_thread(&mut self, thread: ThreadType) {
        self.turns += 1;
        let (now, turn) = (self.now, self.turns);
        let entry = self.entry(thread);
        entry.ready = true;
        entry.turn = turn;
        // Time spent asleep is not saved up.
        entry.pass = entry.pass.max(now);
    }

    #[inline(never)] // a place to trace, also in a release build
    fn get_next(&mut self) -> Option<ThreadType> {
        let index = self.next_after(None)?;
        let entry = &mut self.pool[index];
        entry.ready = false;
        self.now = entry.pass;
        entry.pass += STRIDE / entry.priority.clamp(1, STRIDE as usize) as u64;
        Some(entry.thread.clone())
    }

    fn remove_thread(&mut self, thread: &ThreadType) {
        self.pool.retain(|entry| entry.thread != *thread);
    }

    fn set_priority(&mut self, thread: ThreadType, priority: usize) {
        self.entry(thread).priority = priority;
    }

    fn for_each_ready(&self, visit: &mut dyn FnMut(usize, &ThreadType)) {
        let mut position = 0;
        let mut previous = None;
        while let Some(index) = self.next_after(previous) {
            visit(position, &self.pool[index].thread);
            previous = Some(self.pool[index].order());
            position += 1;
        }
    }
}
