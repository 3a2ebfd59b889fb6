//! Numbers that come back, kernel stacks, and what a thread has in its process's address space.

use super::ProcessControlBlock;
use crate::config::{KERNEL_STACK_SIZE, PAGE_SIZE, TRAMPOLINE, TRAP_CONTEXT, USER_STACK_SIZE};
use crate::mm::address::PhysPageNum;
use crate::mm::{MapPermission, KERNEL_SPACE};
use crate::sync::UPSafeCell;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use lazy_static::lazy_static;

pub struct RecycleAllocator {
    current: usize,
    recycled: Vec<usize>,
}

impl RecycleAllocator {
    pub fn new() -> Self {
        Self {
            current: 0,
            recycled: Vec::new(),
        }
    }

    pub fn alloc(&mut self) -> usize {
        self.recycled.pop().unwrap_or_else(|| {
            self.current += 1;
            self.current - 1
        })
    }

    pub fn dealloc(&mut self, id: usize) {
        self.recycled.push(id);
    }
}

lazy_static! {
    static ref PID_ALLOCATOR: UPSafeCell<RecycleAllocator> =
        UPSafeCell::new(RecycleAllocator::new());
    static ref KSTACK_ALLOCATOR: UPSafeCell<RecycleAllocator> =
        UPSafeCell::new(RecycleAllocator::new());
}

pub struct PidHandle(pub usize);

pub fn pid_alloc() -> PidHandle {
    PidHandle(PID_ALLOCATOR.exclusive_access().alloc())
}

impl Drop for PidHandle {
    fn drop(&mut self) {
        PID_ALLOCATOR.exclusive_access().dealloc(self.0);
    }
}

pub struct KernelStack(pub usize);

pub fn kstack_alloc() -> KernelStack {
    let stack = KernelStack(KSTACK_ALLOCATOR.exclusive_access().alloc());
    let (bottom, top) = stack.position();
    let rights = MapPermission::R | MapPermission::W;
    KERNEL_SPACE
        .exclusive_access()
        .insert_framed_area(bottom, top, rights);
    stack
}

impl KernelStack {
    pub fn position(&self) -> (usize, usize) {
        let top = TRAMPOLINE - self.0 * (KERNEL_STACK_SIZE + PAGE_SIZE);
        (top - KERNEL_STACK_SIZE, top)
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        let (bottom, _) = self.position();
        KERNEL_SPACE
            .exclusive_access()
            .remove_area_with_start_vpn(bottom);
        KSTACK_ALLOCATOR.exclusive_access().dealloc(self.0);
    }
}

/// A thread's stack, and the page of its trap frame, each at a place by its number.
pub struct TaskUserRes {
    pub tid: usize,
    pub ustack_base: usize,
    pub process: Weak<ProcessControlBlock>,
}

pub fn trap_cx_bottom(tid: usize) -> usize {
    TRAP_CONTEXT - tid * PAGE_SIZE
}

impl TaskUserRes {
    pub fn new(process: &Arc<ProcessControlBlock>, ustack_base: usize, map: bool) -> Self {
        let tid = process.inner_exclusive_access().task_res_allocator.alloc();
        let found = Self {
            tid,
            ustack_base,
            process: Arc::downgrade(process),
        };
        if map {
            let mut inner = process.inner_exclusive_access();
            let rights = MapPermission::R | MapPermission::W;
            let (bottom, frame) = (found.ustack_bottom(), trap_cx_bottom(tid));
            let set = &mut inner.memory_set;
            set.insert_framed_area(bottom, bottom + USER_STACK_SIZE, rights | MapPermission::U);
            set.insert_framed_area(frame, frame + PAGE_SIZE, rights);
        }
        found
    }

    pub fn ustack_bottom(&self) -> usize {
        self.ustack_base + self.tid * (PAGE_SIZE + USER_STACK_SIZE)
    }

    pub fn ustack_top(&self) -> usize {
        self.ustack_bottom() + USER_STACK_SIZE
    }

    pub fn trap_cx_ppn(&self) -> PhysPageNum {
        let process = self.process.upgrade().unwrap();
        let mut inner = process.inner_exclusive_access();
        inner.memory_set.translate(trap_cx_bottom(self.tid))
    }
}

impl Drop for TaskUserRes {
    fn drop(&mut self) {
        let process = self.process.upgrade().unwrap();
        let mut inner = process.inner_exclusive_access();
        inner.task_res_allocator.dealloc(self.tid);
        inner
            .memory_set
            .remove_area_with_start_vpn(self.ustack_bottom());
        inner
            .memory_set
            .remove_area_with_start_vpn(trap_cx_bottom(self.tid));
    }
}
