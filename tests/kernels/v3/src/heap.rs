//! The kernel's heap.

use crate::config::KERNEL_HEAP_SIZE;
use buddy_system_allocator::LockedHeap;

#[global_allocator]
static HEAP_ALLOCATOR: LockedHeap = LockedHeap::empty();

static mut HEAP_SPACE: [u8; KERNEL_HEAP_SIZE] = [0; KERNEL_HEAP_SIZE];

pub fn init_heap() {
    let start = core::ptr::addr_of_mut!(HEAP_SPACE) as usize;
    // SAFETY: it is used for nothing else.
    unsafe { HEAP_ALLOCATOR.lock().init(start, KERNEL_HEAP_SIZE) };
}

/// Bytes that the heap has given out, and all that it has.
pub fn heap_account() -> (usize, usize) {
    let heap = HEAP_ALLOCATOR.lock();
    (heap.stats_alloc_actual(), heap.stats_total_bytes())
}
