//! A process: an address space, its threads, and what they share.

use super::id::{pid_alloc, PidHandle, RecycleAllocator};
use super::manager::{add_task, insert_into_pid2process};
use super::sync::{Condvar, Mutex, Semaphore};
use super::TaskControlBlock;
use crate::init::app_data;
use crate::mm::memory_set::USER_BASE;
use crate::mm::MemorySet;
use crate::sync::UPSafeCell;
use crate::trap::context::TrapContext;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::RefMut;

pub struct ProcessControlBlock {
    pub pid: PidHandle,
    inner: UPSafeCell<ProcessControlBlockInner>,
}

pub struct ProcessControlBlockInner {
    pub is_zombie: bool,
    pub memory_set: MemorySet,
    pub parent: Option<Weak<ProcessControlBlock>>,
    pub children: Vec<Arc<ProcessControlBlock>>,
    pub exit_code: i32,
    pub tasks: Vec<Option<Arc<TaskControlBlock>>>,
    pub task_res_allocator: RecycleAllocator,
    pub mutex_list: Vec<Option<Arc<dyn Mutex>>>,
    pub semaphore_list: Vec<Option<Arc<Semaphore>>>,
    pub condvar_list: Vec<Option<Arc<Condvar>>>,
}

impl ProcessControlBlock {
    pub fn inner_exclusive_access(&self) -> RefMut<'_, ProcessControlBlockInner> {
        self.inner.exclusive_access()
    }

    fn with(memory_set: MemorySet, parent: Option<Weak<Self>>) -> Arc<Self> {
        let inner = ProcessControlBlockInner {
            is_zombie: false,
            memory_set,
            parent,
            children: Vec::new(),
            exit_code: 0,
            tasks: Vec::new(),
            task_res_allocator: RecycleAllocator::new(),
            mutex_list: Vec::new(),
            semaphore_list: Vec::new(),
            condvar_list: Vec::new(),
        };
        Arc::new(Self {
            pid: pid_alloc(),
            inner: UPSafeCell::new(inner),
        })
    }

    /// The first process, with its first thread ready.
    pub fn first() -> Arc<Self> {
        let (memory_set, ustack_base) = MemorySet::from_program(app_data());
        let process = Self::with(memory_set, None);
        process.add_thread(USER_BASE, 0, ustack_base, true);
        insert_into_pid2process(process.clone());
        process
    }

    /// A new ready thread; `map` unless its memory is there already.
    pub fn add_thread(
        self: &Arc<Self>,
        entry: usize,
        argument: usize,
        ustack_base: usize,
        map: bool,
    ) -> Arc<TaskControlBlock> {
        let task = Arc::new(TaskControlBlock::new(self, ustack_base, map));
        let inner = task.inner_exclusive_access();
        let res = inner.res.as_ref().unwrap();
        let (tid, sp) = (res.tid, res.ustack_top());
        if map {
            let (_, top) = task.kstack.position();
            let mut first = TrapContext::app_init_context(entry, sp, top);
            first.x[10] = argument;
            *inner.trap_cx_ppn.get_mut() = first;
        }
        drop(inner);
        let mut process = self.inner_exclusive_access();
        while process.tasks.len() <= tid {
            process.tasks.push(None);
        }
        process.tasks[tid] = Some(task.clone());
        drop(process);
        add_task(task.clone());
        task
    }

    /// Of a process with one thread.
    pub fn fork(self: &Arc<Self>) -> Arc<Self> {
        let mut parent = self.inner_exclusive_access();
        let memory_set = MemorySet::from_existed_user(&parent.memory_set);
        let child = Self::with(memory_set, Some(Arc::downgrade(self)));
        parent.children.push(child.clone());
        let first = parent.tasks[0].as_ref().unwrap().inner_exclusive_access();
        let ustack_base = first.res.as_ref().unwrap().ustack_base;
        drop(first);
        drop(parent);
        let task = child.add_thread(0, 0, ustack_base, false);
        let (_, top) = task.kstack.position();
        let cx: &mut TrapContext = task.inner_exclusive_access().trap_cx_ppn.get_mut();
        cx.kernel_sp = top;
        cx.x[10] = 0;
        insert_into_pid2process(child.clone());
        child
    }
}
