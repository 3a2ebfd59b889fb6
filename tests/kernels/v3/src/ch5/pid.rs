//! Process ids, and the kernel stack that goes with each.

use crate::config::{KERNEL_STACK_SIZE, PAGE_SIZE, TRAMPOLINE};
use crate::mm::{MapPermission, KERNEL_SPACE};
use crate::sync::UPSafeCell;
use alloc::vec::Vec;
use lazy_static::lazy_static;

struct PidAllocator {
    current: usize,
    recycled: Vec<usize>,
}

lazy_static! {
    static ref PID_ALLOCATOR: UPSafeCell<PidAllocator> = UPSafeCell::new(PidAllocator {
        current: 0,
        recycled: Vec::new(),
    });
}

pub struct PidHandle(pub usize);

impl Drop for PidHandle {
    fn drop(&mut self) {
        PID_ALLOCATOR.exclusive_access().recycled.push(self.0);
    }
}

pub fn pid_alloc() -> PidHandle {
    let mut allocator = PID_ALLOCATOR.exclusive_access();
    PidHandle(allocator.recycled.pop().unwrap_or_else(|| {
        allocator.current += 1;
        allocator.current - 1
    }))
}

pub struct KernelStack {
    pid: usize,
}

impl KernelStack {
    pub fn new(pid: usize) -> Self {
        let found = Self { pid };
        let (bottom, top) = found.position();
        KERNEL_SPACE.exclusive_access().insert_framed_area(
            bottom,
            top,
            MapPermission::R | MapPermission::W,
        );
        found
    }

    pub fn position(&self) -> (usize, usize) {
        let top = TRAMPOLINE - self.pid * (KERNEL_STACK_SIZE + PAGE_SIZE);
        (top - KERNEL_STACK_SIZE, top)
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        let (bottom, _) = self.position();
        KERNEL_SPACE
            .exclusive_access()
            .remove_area_with_start_vpn(bottom);
    }
}
