//! A process: an address space that threads share.

use crate::config::{PAGE_SIZE, STACK_BASE, STACK_SIZE};
use crate::lock::LockGuard;
use crate::memory::mapping::{Flags, MapType, MemorySet, Segment};
use crate::memory::{MemoryResult, Range, VirtualAddress};
use alloc::sync::Arc;
use lazy_static::lazy_static;
use spin::Mutex;

lazy_static! {
    /// The process of all kernel threads.
    pub static ref KERNEL_PROCESS: Arc<Process> =
        Process::new_kernel().expect("there is no room for the kernel's mapping");
}

/// A process.
pub struct Process {
    /// Whether its threads run in U-mode.
    pub is_user: bool,
    /// What changes; see [`Process::inner`].
    pub inner: Mutex<ProcessInner>,
}

/// The part of a process that changes.
pub struct ProcessInner {
    /// The address space.
    pub memory_set: MemorySet,
}

impl Process {
    /// A process with the kernel's own mapping.
    pub fn new_kernel() -> MemoryResult<Arc<Self>> {
        Self::new(false)
    }

    /// A process whose threads run in U-mode. It has the kernel's own mapping too, for its traps, with no right
    /// for U-mode.
    pub fn new_user() -> MemoryResult<Arc<Self>> {
        Self::new(true)
    }

    fn new(is_user: bool) -> MemoryResult<Arc<Self>> {
        Ok(Arc::new(Self {
            is_user,
            inner: Mutex::new(ProcessInner {
                memory_set: MemorySet::new_kernel()?,
            }),
        }))
    }

    /// The part that changes, with interrupts masked.
    pub fn inner(&self) -> LockGuard<'_, ProcessInner> {
        LockGuard::of(&self.inner)
    }

    /// Maps a stack at the lowest place that is free. The page below it stays unmapped, so that an
    /// overflow is a page fault.
    pub fn add_stack(&self) -> MemoryResult<Range<VirtualAddress>> {
        let memory_set = &mut self.inner().memory_set;
        let mut start = STACK_BASE;
        while memory_set.overlap_with(Range::from(start..start + STACK_SIZE)) {
            start += STACK_SIZE + PAGE_SIZE;
        }
        let stack = Range::from(start..start + STACK_SIZE);
        memory_set.add_segment(self.stack_segment(stack), None)?;
        Ok(stack)
    }

    /// Takes a stack away and frees its frames.
    pub fn remove_stack(&self, stack: Range<VirtualAddress>) -> MemoryResult<()> {
        let segment = self.stack_segment(stack);
        self.inner().memory_set.remove_segment(&segment)
    }

    fn stack_segment(&self, range: Range<VirtualAddress>) -> Segment {
        let mut flags = Flags::READABLE | Flags::WRITABLE;
        flags.set(Flags::USER, self.is_user);
        Segment {
            map_type: MapType::Framed,
            range,
            flags,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The last thread ends in its own address space, whose tables are about to be freed.
        if self.inner().memory_set.is_active() {
            KERNEL_PROCESS.inner().memory_set.activate();
        }
    }
}
