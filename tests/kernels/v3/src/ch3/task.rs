//! Tasks in an array, and who runs is an index.

use crate::apps::NUM_APP;
use crate::loader::{base_of, init_app_cx, kernel_stack_of, MAX_APP_NUM};
use crate::switch::{__switch, TaskContext};
use crate::sync::UPSafeCell;
use crate::trap::__restore;
use lazy_static::lazy_static;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TaskStatus {
    UnInit,
    Ready,
    Running,
    Exited,
}

#[derive(Clone, Copy)]
pub struct TaskControlBlock {
    pub task_status: TaskStatus,
    pub task_cx: TaskContext,
}

pub struct TaskManager {
    num_app: usize,
    inner: UPSafeCell<TaskManagerInner>,
}

pub struct TaskManagerInner {
    tasks: [TaskControlBlock; MAX_APP_NUM],
    current_task: usize,
}

lazy_static! {
    pub static ref TASK_MANAGER: TaskManager = {
        let mut tasks = [TaskControlBlock {
            task_status: TaskStatus::UnInit,
            task_cx: TaskContext::zero_init(),
        }; MAX_APP_NUM];
        for (app, task) in tasks.iter_mut().enumerate().take(NUM_APP) {
            let at = init_app_cx(app);
            task.task_cx = TaskContext::starting_at(__restore as *const () as usize, at);
            task.task_status = TaskStatus::Ready;
        }
        TaskManager {
            num_app: NUM_APP,
            inner: UPSafeCell::new(TaskManagerInner {
                tasks,
                current_task: 0,
            }),
        }
    };
}

impl TaskManager {
    fn run_first_task(&self) -> ! {
        let mut inner = self.inner.exclusive_access();
        let first = &mut inner.tasks[0];
        first.task_status = TaskStatus::Running;
        let next: *const TaskContext = &first.task_cx;
        drop(inner);
        let mut unused = TaskContext::zero_init();
        // SAFETY: the first task's registers were made for this.
        unsafe { __switch(&mut unused, next) };
        unreachable!()
    }

    fn mark_current(&self, status: TaskStatus) {
        let mut inner = self.inner.exclusive_access();
        let current = inner.current_task;
        inner.tasks[current].task_status = status;
    }

    fn find_next_task(&self) -> Option<usize> {
        let inner = self.inner.exclusive_access();
        let current = inner.current_task;
        (current + 1..=current + self.num_app)
            .map(|place| place % self.num_app)
            .find(|&place| inner.tasks[place].task_status == TaskStatus::Ready)
    }

    fn run_next_task(&self) {
        let Some(next) = self.find_next_task() else {
            bare::println!("all apps have ended");
            bare::shut_down();
        };
        let mut inner = self.inner.exclusive_access();
        let current = inner.current_task;
        inner.tasks[next].task_status = TaskStatus::Running;
        inner.current_task = next;
        let from: *mut TaskContext = &mut inner.tasks[current].task_cx;
        let to: *const TaskContext = &inner.tasks[next].task_cx;
        drop(inner);
        if current != next {
            bare::println!("switch {current} {next}");
            // SAFETY: both are in the static array.
            unsafe { __switch(from, to) };
        }
    }

    fn account(&self) {
        let inner = self.inner.exclusive_access();
        bare::println!("current {}", inner.current_task);
        for (id, task) in inner.tasks.iter().enumerate().take(self.num_app) {
            let (start, end) = kernel_stack_of(id);
            bare::println!(
                "task {id} state={:?} ra={:#x} sp={:#x} kstack={start:#x}..{end:#x} base={:#x}",
                task.task_status,
                task.task_cx.ra,
                task.task_cx.sp,
                base_of(id)
            );
        }
        let current = inner.current_task;
        for place in current + 1..current + self.num_app {
            let id = place % self.num_app;
            if inner.tasks[id].task_status == TaskStatus::Ready {
                bare::println!("ready {id}");
            }
        }
    }
}

pub fn run_first_task() -> ! {
    TASK_MANAGER.run_first_task()
}

pub fn suspend_current_and_run_next() {
    TASK_MANAGER.mark_current(TaskStatus::Ready);
    TASK_MANAGER.run_next_task();
}

pub fn exit_current_and_run_next(code: i32) {
    bare::println!("exit {code}");
    TASK_MANAGER.mark_current(TaskStatus::Exited);
    TASK_MANAGER.run_next_task();
}

pub fn account() {
    TASK_MANAGER.account();
}

/// The bytes at a user's address, which is the kernel's too.
pub fn user_text(address: usize, size: usize) -> impl Iterator<Item = u8> {
    // SAFETY: without paging any address can be read.
    (address..address + size).map(|at| unsafe { *(at as *const u8) })
}
