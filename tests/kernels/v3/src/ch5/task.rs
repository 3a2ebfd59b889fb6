//! Processes with one thread each, in a tree.

#[path = "manager.rs"]
pub mod manager;
#[path = "pid.rs"]
pub mod pid;
#[path = "processor.rs"]
pub mod processor;

use crate::config::TRAP_CONTEXT;
use crate::init::app_data;
use crate::mm::address::PhysPageNum;
use crate::mm::frame_allocator::free_frames;
use crate::mm::memory_set::USER_BASE;
use crate::mm::{MemorySet, KERNEL_SPACE};
use crate::switch::TaskContext;
use crate::sync::UPSafeCell;
use crate::trap::context::TrapContext;
use crate::trap::trap_return;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::RefMut;
use lazy_static::lazy_static;
use manager::{add_task, TASK_MANAGER};
use pid::{pid_alloc, KernelStack, PidHandle};
use processor::{current_task, schedule, take_current_task};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TaskStatus {
    Ready,
    Running,
    Zombie,
}

pub struct TaskControlBlock {
    pub pid: PidHandle,
    pub kernel_stack: KernelStack,
    inner: UPSafeCell<TaskControlBlockInner>,
}

pub struct TaskControlBlockInner {
    pub trap_cx_ppn: PhysPageNum,
    #[allow(dead_code)]
    pub base_size: usize,
    pub task_cx: TaskContext,
    pub task_status: TaskStatus,
    pub memory_set: MemorySet,
    pub parent: Option<Weak<TaskControlBlock>>,
    pub children: Vec<Arc<TaskControlBlock>>,
    pub exit_code: i32,
    #[cfg(feature = "stride")]
    pub stride: usize,
    #[cfg(feature = "stride")]
    pub priority: usize,
}

lazy_static! {
    pub static ref INITPROC: Arc<TaskControlBlock> = {
        let (memory_set, user_sp) = MemorySet::from_app(app_data());
        let (task, top) = TaskControlBlock::with(memory_set, user_sp, None);
        let first = TrapContext::app_init_context(USER_BASE, user_sp, top);
        *task.inner_exclusive_access().trap_cx_ppn.get_mut() = first;
        task
    };
}

impl TaskControlBlock {
    pub fn inner_exclusive_access(&self) -> RefMut<'_, TaskControlBlockInner> {
        self.inner.exclusive_access()
    }

    /// A ready task with that address space, and the end of its kernel stack.
    fn with(
        mut memory_set: MemorySet,
        base_size: usize,
        parent: Option<Weak<Self>>,
    ) -> (Arc<Self>, usize) {
        let trap_cx_ppn = memory_set.translate(TRAP_CONTEXT);
        let pid = pid_alloc();
        let kernel_stack = KernelStack::new(pid.0);
        let (_, top) = kernel_stack.position();
        let inner = TaskControlBlockInner {
            trap_cx_ppn,
            base_size,
            task_cx: TaskContext::starting_at(trap_return as *const () as usize, top),
            task_status: TaskStatus::Ready,
            memory_set,
            parent,
            children: Vec::new(),
            exit_code: 0,
            #[cfg(feature = "stride")]
            stride: 0,
            #[cfg(feature = "stride")]
            priority: 16 - pid.0 % 8,
        };
        let inner = UPSafeCell::new(inner);
        let task = Self {
            pid,
            kernel_stack,
            inner,
        };
        (Arc::new(task), top)
    }

    pub fn fork(self: &Arc<Self>) -> Arc<Self> {
        let mut parent = self.inner_exclusive_access();
        let memory_set = MemorySet::from_existed_user(&parent.memory_set);
        let (child, top) = Self::with(memory_set, parent.base_size, Some(Arc::downgrade(self)));
        parent.children.push(child.clone());
        let cx: &mut TrapContext = child.inner_exclusive_access().trap_cx_ppn.get_mut();
        cx.kernel_sp = top;
        cx.x[10] = 0;
        child
    }
}

pub fn suspend_current_and_run_next() {
    let task = take_current_task().unwrap();
    let mut inner = task.inner_exclusive_access();
    inner.task_status = TaskStatus::Ready;
    let from: *mut TaskContext = &mut inner.task_cx;
    drop(inner);
    add_task(task);
    schedule(from);
}

pub fn exit_current_and_run_next(code: i32) {
    let task = take_current_task().unwrap();
    bare::println!("exit {} {code}", task.pid.0);
    if Arc::ptr_eq(&task, &INITPROC) {
        bare::println!("the first process has ended");
        bare::shut_down();
    }
    let mut inner = task.inner_exclusive_access();
    inner.task_status = TaskStatus::Zombie;
    inner.exit_code = code;
    let orphans = core::mem::take(&mut inner.children);
    for child in orphans {
        child.inner_exclusive_access().parent = Some(Arc::downgrade(&INITPROC));
        INITPROC.inner_exclusive_access().children.push(child);
    }
    inner.memory_set.recycle_data_pages();
    drop(inner);
    drop(task);
    schedule(&mut TaskContext::zero_init());
}

pub fn fork() -> isize {
    let child = current_task().unwrap().fork();
    let pid = child.pid.0;
    add_task(child);
    pid as isize
}

/// Takes a dead child away: its id, -2 while all live, -1 without any.
pub fn wait_for_child() -> isize {
    let task = current_task().unwrap();
    let mut inner = task.inner_exclusive_access();
    if inner.children.is_empty() {
        return -1;
    }
    let is_dead =
        |c: &Arc<TaskControlBlock>| c.inner_exclusive_access().task_status == TaskStatus::Zombie;
    match inner.children.iter().position(is_dead) {
        Some(place) => inner.children.remove(place).pid.0 as isize,
        None => -2,
    }
}

pub fn add_initproc() {
    add_task(INITPROC.clone());
}

pub fn current_user_token() -> usize {
    let task = current_task().unwrap();
    let inner = task.inner_exclusive_access();
    inner.memory_set.token()
}

pub fn current_trap_cx() -> &'static mut TrapContext {
    let task = current_task().unwrap();
    let inner = task.inner_exclusive_access();
    inner.trap_cx_ppn.get_mut()
}

pub fn current_trap_cx_user_va() -> usize {
    TRAP_CONTEXT
}

/// Nobody sleeps here.
pub fn check_timer() {}

pub fn user_text(address: usize, size: usize) -> impl Iterator<Item = u8> {
    crate::mm::page_table::user_text(current_user_token(), address, size)
}

fn tell(task: &Arc<TaskControlBlock>) {
    let inner = task.inner_exclusive_access();
    let (start, end) = task.kernel_stack.position();
    bare::println!(
        "task {} state={:?} ra={:#x} sp={:#x} kstack={start:#x}..{end:#x} root={:#x} cx={:#x} \
         parent={} code={}",
        task.pid.0,
        inner.task_status,
        inner.task_cx.ra,
        inner.task_cx.sp,
        inner.memory_set.token() << 20 >> 8,
        inner.trap_cx_ppn.0 << 12,
        match inner.parent.as_ref().and_then(Weak::upgrade) {
            Some(parent) => parent.pid.0 as isize,
            None => -1,
        },
        inner.exit_code,
    );
    inner.children.iter().for_each(tell);
}

pub fn account() {
    let (heap_used, heap_total) = crate::heap::heap_account();
    bare::println!(
        "memory free={} heap={heap_used}/{heap_total}",
        free_frames()
    );
    let kernel = KERNEL_SPACE.exclusive_access().token();
    bare::println!("kernel root={:#x}", kernel << 20 >> 8);
    match current_task() {
        Some(task) => bare::println!("current {}", task.pid.0),
        None => bare::println!("current none"),
    }
    tell(&INITPROC);
    TASK_MANAGER
        .exclusive_access()
        .ready_queue
        .iter()
        .for_each(|task| bare::println!("ready {}", task.pid.0));
}
