//! Who is ready, and which process has which number.

use super::{ProcessControlBlock, TaskControlBlock, TaskStatus};
use crate::sync::UPSafeCell;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use lazy_static::lazy_static;

pub struct TaskManager {
    pub ready_queue: VecDeque<Arc<TaskControlBlock>>,
}

lazy_static! {
    pub static ref TASK_MANAGER: UPSafeCell<TaskManager> = UPSafeCell::new(TaskManager {
        ready_queue: VecDeque::new(),
    });
    pub static ref PID2PCB: UPSafeCell<BTreeMap<usize, Arc<ProcessControlBlock>>> =
        UPSafeCell::new(BTreeMap::new());
}

impl TaskManager {
    pub fn add(&mut self, task: Arc<TaskControlBlock>) {
        self.ready_queue.push_back(task);
    }

    pub fn fetch(&mut self) -> Option<Arc<TaskControlBlock>> {
        self.ready_queue.pop_front()
    }
}

pub fn add_task(task: Arc<TaskControlBlock>) {
    TASK_MANAGER.exclusive_access().add(task);
}

pub fn wakeup_task(task: Arc<TaskControlBlock>) {
    task.inner_exclusive_access().task_status = TaskStatus::Ready;
    add_task(task);
}

pub fn fetch_task() -> Option<Arc<TaskControlBlock>> {
    TASK_MANAGER.exclusive_access().fetch()
}

pub fn insert_into_pid2process(process: Arc<ProcessControlBlock>) {
    PID2PCB.exclusive_access().insert(process.pid.0, process);
}

pub fn remove_from_pid2process(pid: usize) {
    PID2PCB.exclusive_access().remove(&pid);
}
