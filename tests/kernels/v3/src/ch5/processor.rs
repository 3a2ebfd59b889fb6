//! Who runs.

use super::manager::fetch_task;
use super::{TaskControlBlock, TaskStatus};
use crate::switch::{__switch, TaskContext};
use crate::sync::UPSafeCell;
use alloc::sync::Arc;
use lazy_static::lazy_static;

pub struct Processor {
    current: Option<Arc<TaskControlBlock>>,
    idle_task_cx: TaskContext,
}

lazy_static! {
    pub static ref PROCESSOR: UPSafeCell<Processor> = UPSafeCell::new(Processor {
        current: None,
        idle_task_cx: TaskContext::zero_init(),
    });
}

/// Runs whoever is ready, for ever.
pub fn run_tasks() -> ! {
    loop {
        let Some(task) = fetch_task() else {
            panic!("nobody is ready");
        };
        let mut inner = task.inner_exclusive_access();
        inner.task_status = TaskStatus::Running;
        let to: *const TaskContext = &inner.task_cx;
        drop(inner);
        bare::println!("run {}", task.pid.0);
        let mut processor = PROCESSOR.exclusive_access();
        processor.current = Some(task);
        let from: *mut TaskContext = &mut processor.idle_task_cx;
        drop(processor);
        // SAFETY: the task is kept by the processor as long as it runs.
        unsafe { __switch(from, to) };
    }
}

pub fn take_current_task() -> Option<Arc<TaskControlBlock>> {
    PROCESSOR.exclusive_access().current.take()
}

pub fn current_task() -> Option<Arc<TaskControlBlock>> {
    PROCESSOR.exclusive_access().current.clone()
}

/// Back to `run_tasks`; the registers of whoever ran go to `from`.
pub fn schedule(from: *mut TaskContext) {
    let processor = PROCESSOR.exclusive_access();
    let to: *const TaskContext = &processor.idle_task_cx;
    drop(processor);
    // SAFETY: `run_tasks` put its registers there.
    unsafe { __switch(from, to) };
}
