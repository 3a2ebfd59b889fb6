//! Tasks in a Vec, each with an address space of its own; who runs is an index.

use crate::apps::{app_data, NUM_APP};
use crate::config::{KERNEL_STACK_SIZE, PAGE_SIZE, TRAMPOLINE, TRAP_CONTEXT};
use crate::mm::address::PhysPageNum;
use crate::mm::frame_allocator::free_frames;
use crate::mm::memory_set::USER_BASE;
use crate::mm::{MapPermission, MemorySet, KERNEL_SPACE};
use crate::switch::{__switch, TaskContext};
use crate::sync::UPSafeCell;
use crate::trap::context::TrapContext;
use crate::trap::trap_return;
use alloc::vec::Vec;
use lazy_static::lazy_static;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TaskStatus {
    Ready,
    Running,
    Exited,
}

pub struct TaskControlBlock {
    pub task_status: TaskStatus,
    pub task_cx: TaskContext,
    pub memory_set: MemorySet,
    pub trap_cx_ppn: PhysPageNum,
    #[allow(dead_code)]
    pub base_size: usize,
}

/// The bounds of a kernel stack: below the trampoline, with a guard page between any two.
fn kernel_stack_position(app: usize) -> (usize, usize) {
    let top = TRAMPOLINE - app * (KERNEL_STACK_SIZE + PAGE_SIZE);
    (top - KERNEL_STACK_SIZE, top)
}

impl TaskControlBlock {
    fn new(app: usize) -> Self {
        let (mut memory_set, user_sp) = MemorySet::from_app(app_data(app));
        let trap_cx_ppn = memory_set.translate(TRAP_CONTEXT);
        let (bottom, top) = kernel_stack_position(app);
        let rights = MapPermission::R | MapPermission::W;
        let mut kernel = KERNEL_SPACE.exclusive_access();
        kernel.insert_framed_area(bottom, top, rights);
        drop(kernel);
        *trap_cx_ppn.get_mut() = TrapContext::app_init_context(USER_BASE, user_sp, top);
        Self {
            task_status: TaskStatus::Ready,
            task_cx: TaskContext::starting_at(trap_return as *const () as usize, top),
            memory_set,
            trap_cx_ppn,
            base_size: user_sp,
        }
    }
}

pub struct TaskManager {
    num_app: usize,
    inner: UPSafeCell<TaskManagerInner>,
}

struct TaskManagerInner {
    tasks: Vec<TaskControlBlock>,
    current_task: usize,
}

lazy_static! {
    pub static ref TASK_MANAGER: TaskManager = TaskManager {
        num_app: NUM_APP,
        inner: UPSafeCell::new(TaskManagerInner {
            tasks: (0..NUM_APP).map(TaskControlBlock::new).collect(),
            current_task: 0,
        }),
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

    fn leave_current(&self, status: TaskStatus) {
        let mut inner = self.inner.exclusive_access();
        let current = inner.current_task;
        inner.tasks[current].task_status = status;
        let next = (current + 1..=current + self.num_app)
            .map(|place| place % self.num_app)
            .find(|&place| inner.tasks[place].task_status == TaskStatus::Ready);
        let Some(next) = next else {
            bare::println!("all apps have ended");
            bare::shut_down();
        };
        inner.tasks[next].task_status = TaskStatus::Running;
        inner.current_task = next;
        let from: *mut TaskContext = &mut inner.tasks[current].task_cx;
        let to: *const TaskContext = &inner.tasks[next].task_cx;
        drop(inner);
        if current != next {
            bare::println!("switch {current} {next}");
            // SAFETY: both are in the list, which does not change.
            unsafe { __switch(from, to) };
        }
    }

    fn account(&self) {
        let inner = self.inner.exclusive_access();
        bare::println!("current {}", inner.current_task);
        for (id, task) in inner.tasks.iter().enumerate() {
            let (start, end) = kernel_stack_position(id);
            bare::println!(
                "task {id} state={:?} ra={:#x} sp={:#x} kstack={start:#x}..{end:#x} root={:#x} cx={:#x}",
                task.task_status,
                task.task_cx.ra,
                task.task_cx.sp,
                task.memory_set.token() << 20 >> 8,
                task.trap_cx_ppn.0 << 12,
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
    TASK_MANAGER.leave_current(TaskStatus::Ready);
}

pub fn exit_current_and_run_next(code: i32) {
    bare::println!("exit {code}");
    TASK_MANAGER.leave_current(TaskStatus::Exited);
}

pub fn current_user_token() -> usize {
    let inner = TASK_MANAGER.inner.exclusive_access();
    inner.tasks[inner.current_task].memory_set.token()
}

pub fn current_trap_cx() -> &'static mut TrapContext {
    let inner = TASK_MANAGER.inner.exclusive_access();
    inner.tasks[inner.current_task].trap_cx_ppn.get_mut()
}

pub fn current_trap_cx_user_va() -> usize {
    TRAP_CONTEXT
}

pub fn account() {
    let (heap_used, heap_total) = crate::heap::heap_account();
    bare::println!(
        "memory free={} heap={heap_used}/{heap_total}",
        free_frames()
    );
    bare::println!(
        "kernel root={:#x}",
        KERNEL_SPACE.exclusive_access().token() << 20 >> 8
    );
    TASK_MANAGER.account();
}

/// Nobody sleeps here.
pub fn check_timer() {}

pub fn user_text(address: usize, size: usize) -> impl Iterator<Item = u8> {
    crate::mm::page_table::user_text(current_user_token(), address, size)
}
