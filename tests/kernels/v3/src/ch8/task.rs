//! Processes of several threads.

#[path = "id.rs"]
pub mod id;
#[path = "manager.rs"]
pub mod manager;
#[path = "process.rs"]
pub mod process;
#[path = "processor.rs"]
pub mod processor;
#[path = "sync.rs"]
pub mod sync;

use crate::mm::address::PhysPageNum;
use crate::mm::frame_allocator::free_frames;
use crate::mm::KERNEL_SPACE;
use crate::switch::TaskContext;
use crate::sync::UPSafeCell;
use crate::trap::context::TrapContext;
use crate::trap::trap_return;
use alloc::sync::{Arc, Weak};
use core::cell::RefMut;
use id::{kstack_alloc, trap_cx_bottom, KernelStack, TaskUserRes};
use lazy_static::lazy_static;
use manager::{add_task, remove_from_pid2process, PID2PCB, TASK_MANAGER};
pub use process::ProcessControlBlock;
use processor::{current_task, schedule, take_current_task};
pub use sync::check_timer;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TaskStatus {
    Ready,
    Running,
    Blocked,
}

pub struct TaskControlBlock {
    pub process: Weak<ProcessControlBlock>,
    pub kstack: KernelStack,
    inner: UPSafeCell<TaskControlBlockInner>,
}

pub struct TaskControlBlockInner {
    pub res: Option<TaskUserRes>,
    pub trap_cx_ppn: PhysPageNum,
    pub task_cx: TaskContext,
    pub task_status: TaskStatus,
    pub exit_code: Option<i32>,
}

lazy_static! {
    pub static ref INITPROC: Arc<ProcessControlBlock> = ProcessControlBlock::first();
}

impl TaskControlBlock {
    pub fn inner_exclusive_access(&self) -> RefMut<'_, TaskControlBlockInner> {
        self.inner.exclusive_access()
    }

    fn new(process: &Arc<ProcessControlBlock>, ustack_base: usize, map: bool) -> Self {
        let res = TaskUserRes::new(process, ustack_base, map);
        let trap_cx_ppn = res.trap_cx_ppn();
        let kstack = kstack_alloc();
        let (_, top) = kstack.position();
        Self {
            process: Arc::downgrade(process),
            kstack,
            inner: UPSafeCell::new(TaskControlBlockInner {
                res: Some(res),
                trap_cx_ppn,
                task_cx: TaskContext::starting_at(trap_return as *const () as usize, top),
                task_status: TaskStatus::Ready,
                exit_code: None,
            }),
        }
    }
}

pub fn current_process() -> Arc<ProcessControlBlock> {
    current_task().unwrap().process.upgrade().unwrap()
}

fn leave(status: TaskStatus) -> (Arc<TaskControlBlock>, *mut TaskContext) {
    let task = take_current_task().unwrap();
    let mut inner = task.inner_exclusive_access();
    inner.task_status = status;
    let from: *mut TaskContext = &mut inner.task_cx;
    drop(inner);
    (task, from)
}

pub fn suspend_current_and_run_next() {
    let (task, from) = leave(TaskStatus::Ready);
    add_task(task);
    schedule(from);
}

/// Whoever calls it has put the thread where it is found again.
pub fn block_current_and_run_next() {
    let (task, from) = leave(TaskStatus::Blocked);
    drop(task);
    schedule(from);
}

pub fn exit_current_and_run_next(code: i32) {
    let task = take_current_task().unwrap();
    let process = task.process.upgrade().unwrap();
    let mut inner = task.inner_exclusive_access();
    inner.exit_code = Some(code);
    let tid = inner.res.as_ref().unwrap().tid;
    inner.res = None;
    drop(inner);
    drop(task);
    bare::println!("exit {}.{tid} {code}", process.pid.0);
    if tid == 0 {
        if Arc::ptr_eq(&process, &INITPROC) {
            bare::println!("the first process has ended");
            bare::shut_down();
        }
        remove_from_pid2process(process.pid.0);
        let mut inner = process.inner_exclusive_access();
        inner.is_zombie = true;
        inner.exit_code = code;
        inner.memory_set.recycle_data_pages();
    }
    drop(process);
    schedule(&mut TaskContext::zero_init());
}

pub fn fork() -> isize {
    current_process().fork().pid.0 as isize
}

/// Takes a dead child away: its id, -2 while all live, -1 without any.
pub fn wait_for_child() -> isize {
    let process = current_process();
    let mut inner = process.inner_exclusive_access();
    if inner.children.is_empty() {
        return -1;
    }
    let is_dead = |c: &Arc<ProcessControlBlock>| c.inner_exclusive_access().is_zombie;
    match inner.children.iter().position(is_dead) {
        Some(place) => inner.children.remove(place).pid.0 as isize,
        None => -2,
    }
}

pub fn create_thread(entry: usize, argument: usize) -> isize {
    let task = current_task().unwrap();
    let inner = task.inner_exclusive_access();
    let ustack_base = inner.res.as_ref().unwrap().ustack_base;
    drop(inner);
    let created = current_process().add_thread(entry, argument, ustack_base, true);
    let inner = created.inner_exclusive_access();
    inner.res.as_ref().unwrap().tid as isize
}

/// The exit code of a thread that has ended, which is taken away; -2 while it lives.
pub fn wait_for_thread(tid: usize) -> isize {
    let process = current_process();
    let mut inner = process.inner_exclusive_access();
    let code = match inner.tasks.get(tid) {
        Some(Some(task)) => task.inner_exclusive_access().exit_code,
        _ => return -1,
    };
    let Some(code) = code else { return -2 };
    let ended = inner.tasks[tid].take();
    drop(inner);
    drop(ended);
    code as isize
}

pub fn current_user_token() -> usize {
    let process = current_process();
    let inner = process.inner_exclusive_access();
    inner.memory_set.token()
}

pub fn current_trap_cx() -> &'static mut TrapContext {
    let task = current_task().unwrap();
    let inner = task.inner_exclusive_access();
    inner.trap_cx_ppn.get_mut()
}

pub fn current_trap_cx_user_va() -> usize {
    let task = current_task().unwrap();
    let inner = task.inner_exclusive_access();
    trap_cx_bottom(inner.res.as_ref().unwrap().tid)
}

pub fn user_text(address: usize, size: usize) -> impl Iterator<Item = u8> {
    crate::mm::page_table::user_text(current_user_token(), address, size)
}

fn tell_thread(task: &Arc<TaskControlBlock>) {
    let inner = task.inner_exclusive_access();
    let (start, end) = task.kstack.position();
    let Some(res) = inner.res.as_ref() else {
        bare::println!(
            "ended state={:?} kstack={start:#x}..{end:#x} code={}",
            inner.task_status,
            inner.exit_code.unwrap_or(0)
        );
        return;
    };
    bare::println!(
        "task {} state={:?} ra={:#x} sp={:#x} kstack={start:#x}..{end:#x} cx={:#x} \
         ustack={:#x}..{:#x}",
        Named(task),
        inner.task_status,
        inner.task_cx.ra,
        inner.task_cx.sp,
        inner.trap_cx_ppn.0 << 12,
        res.ustack_bottom(),
        res.ustack_top(),
    );
}

/// A thread as `process.thread`.
struct Named<'a>(&'a Arc<TaskControlBlock>);

impl core::fmt::Display for Named<'_> {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // SAFETY: its cell may be borrowed by whoever tells of it, but nobody changes anything meanwhile.
        let pid = self.0.process.upgrade().map_or(-1, |p| p.pid.0 as isize);
        let res = unsafe { &*self.0.inner.as_ptr() }.res.as_ref();
        write!(to, "{pid}.{}", res.map_or(-1, |res| res.tid as isize))
    }
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
        Some(task) => bare::println!("current {}", Named(&task)),
        None => bare::println!("current none"),
    }
    for (pid, process) in PID2PCB.exclusive_access().iter() {
        let inner = process.inner_exclusive_access();
        let parent = inner.parent.as_ref().and_then(Weak::upgrade);
        let parent = parent.map_or(-1, |p| p.pid.0 as isize);
        let root = inner.memory_set.token() << 20 >> 8;
        bare::println!("process {pid} root={root:#x} parent={parent}");
        inner.tasks.iter().flatten().for_each(tell_thread);
    }
    for task in TASK_MANAGER.exclusive_access().ready_queue.iter() {
        bare::println!("ready {}", Named(task));
    }
}
