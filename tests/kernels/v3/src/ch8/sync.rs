//! What threads wait for.

use super::manager::wakeup_task;
use super::processor::current_task;
use super::{block_current_and_run_next, TaskControlBlock};
use crate::sync::UPSafeCell;
use alloc::collections::{BinaryHeap, VecDeque};
use alloc::sync::Arc;
use core::cmp::Ordering;
use lazy_static::lazy_static;

type WaitQueue = VecDeque<Arc<TaskControlBlock>>;

pub trait Mutex: Sync + Send {
    fn lock(&self);
    fn unlock(&self);
}

pub struct MutexBlocking {
    inner: UPSafeCell<MutexBlockingInner>,
}

pub struct MutexBlockingInner {
    locked: bool,
    wait_queue: WaitQueue,
}

impl MutexBlocking {
    pub fn new() -> Self {
        Self {
            inner: UPSafeCell::new(MutexBlockingInner {
                locked: false,
                wait_queue: VecDeque::new(),
            }),
        }
    }
}

impl Mutex for MutexBlocking {
    fn lock(&self) {
        let mut inner = self.inner.exclusive_access();
        if core::mem::replace(&mut inner.locked, true) {
            inner.wait_queue.push_back(current_task().unwrap());
            drop(inner);
            block_current_and_run_next();
        }
    }

    fn unlock(&self) {
        let mut inner = self.inner.exclusive_access();
        match inner.wait_queue.pop_front() {
            Some(task) => wakeup_task(task),
            None => inner.locked = false,
        }
    }
}

pub struct Semaphore {
    inner: UPSafeCell<SemaphoreInner>,
}

pub struct SemaphoreInner {
    count: isize,
    wait_queue: WaitQueue,
}

impl Semaphore {
    pub fn new(count: usize) -> Self {
        Self {
            inner: UPSafeCell::new(SemaphoreInner {
                count: count as isize,
                wait_queue: VecDeque::new(),
            }),
        }
    }

    pub fn up(&self) {
        let mut inner = self.inner.exclusive_access();
        inner.count += 1;
        if let Some(task) = inner.wait_queue.pop_front() {
            wakeup_task(task);
        }
    }

    pub fn down(&self) {
        let mut inner = self.inner.exclusive_access();
        inner.count -= 1;
        if inner.count < 0 {
            inner.wait_queue.push_back(current_task().unwrap());
            drop(inner);
            block_current_and_run_next();
        }
    }
}

pub struct Condvar {
    inner: UPSafeCell<CondvarInner>,
}

pub struct CondvarInner {
    wait_queue: WaitQueue,
}

impl Condvar {
    pub fn new() -> Self {
        Self {
            inner: UPSafeCell::new(CondvarInner {
                wait_queue: VecDeque::new(),
            }),
        }
    }

    pub fn signal(&self) {
        let mut inner = self.inner.exclusive_access();
        if let Some(task) = inner.wait_queue.pop_front() {
            wakeup_task(task);
        }
    }

    pub fn wait(&self, mutex: &dyn Mutex) {
        mutex.unlock();
        let mut inner = self.inner.exclusive_access();
        inner.wait_queue.push_back(current_task().unwrap());
        drop(inner);
        block_current_and_run_next();
        mutex.lock();
    }
}

/// A thread that sleeps until then.
pub struct TimerCondVar {
    pub expire_ms: usize,
    pub task: Arc<TaskControlBlock>,
}

impl PartialEq for TimerCondVar {
    fn eq(&self, other: &Self) -> bool {
        self.expire_ms == other.expire_ms
    }
}

impl Eq for TimerCondVar {}

impl PartialOrd for TimerCondVar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TimerCondVar {
    fn cmp(&self, other: &Self) -> Ordering {
        other.expire_ms.cmp(&self.expire_ms)
    }
}

lazy_static! {
    pub static ref TIMERS: UPSafeCell<BinaryHeap<TimerCondVar>> =
        UPSafeCell::new(BinaryHeap::new());
}

fn now_ms() -> usize {
    bare::now() / 10_000
}

pub fn sleep(ms: usize) {
    TIMERS.exclusive_access().push(TimerCondVar {
        expire_ms: now_ms() + ms,
        task: current_task().unwrap(),
    });
    block_current_and_run_next();
}

/// Makes those ready that have slept long enough.
pub fn check_timer() {
    let now = now_ms();
    loop {
        let mut timers = TIMERS.exclusive_access();
        match timers.peek() {
            Some(timer) if timer.expire_ms <= now => {}
            _ => return,
        }
        let timer = timers.pop().unwrap();
        drop(timers);
        wakeup_task(timer.task);
    }
}
