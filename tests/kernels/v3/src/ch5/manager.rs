//! Who is ready.

use super::TaskControlBlock;
use crate::sync::UPSafeCell;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use lazy_static::lazy_static;

#[cfg(not(feature = "guarded"))]
pub struct TaskManager {
    pub ready_queue: VecDeque<Arc<TaskControlBlock>>,
}

#[cfg(feature = "guarded")]
pub struct TaskManager {
    pub added: usize,
    pub ready_queue: VecDeque<Arc<TaskControlBlock>>,
}

lazy_static! {
    pub static ref TASK_MANAGER: UPSafeCell<TaskManager> = UPSafeCell::new(TaskManager {
        #[cfg(feature = "guarded")]
        added: 0,
        ready_queue: VecDeque::new(),
    });
}

impl TaskManager {
    pub fn add(&mut self, task: Arc<TaskControlBlock>) {
        #[cfg(feature = "guarded")]
        {
            self.added += 1;
        }
        self.ready_queue.push_back(task);
    }

    #[cfg(not(feature = "stride"))]
    pub fn fetch(&mut self) -> Option<Arc<TaskControlBlock>> {
        self.ready_queue.pop_front()
    }

    /// Takes the one that has come the least far.
    #[cfg(feature = "stride")]
    pub fn fetch(&mut self) -> Option<Arc<TaskControlBlock>> {
        let place = (0..self.ready_queue.len())
            .min_by_key(|&place| self.ready_queue[place].inner_exclusive_access().stride)?;
        let task = self.ready_queue.remove(place)?;
        let mut inner = task.inner_exclusive_access();
        inner.stride += 0x1_0000 / inner.priority;
        drop(inner);
        Some(task)
    }
}

pub fn add_task(task: Arc<TaskControlBlock>) {
    TASK_MANAGER.exclusive_access().add(task);
}

pub fn fetch_task() -> Option<Arc<TaskControlBlock>> {
    TASK_MANAGER.exclusive_access().fetch()
}
