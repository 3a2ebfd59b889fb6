//! Frames, page tables, address spaces.

pub mod address;
pub mod frame_allocator;
pub mod memory_set;
pub mod page_table;

pub use memory_set::{MapPermission, MemorySet, KERNEL_SPACE};

pub fn init() {
    crate::heap::init_heap();
    frame_allocator::init();
    KERNEL_SPACE.exclusive_access().activate();
}
