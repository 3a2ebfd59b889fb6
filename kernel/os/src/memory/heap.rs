//! The kernel heap: a buddy system in a static array.

use crate::config::KERNEL_HEAP_SIZE;
use crate::mask::without_interrupts;
use buddy_system_allocator::LockedHeap;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::addr_of_mut;

/// The heap's memory.
static mut HEAP_SPACE: [u8; KERNEL_HEAP_SIZE] = [0; KERNEL_HEAP_SIZE];

/// The allocator itself.
pub static HEAP: LockedHeap<32> = LockedHeap::empty();

/// The global allocator: [`HEAP`], with interrupts masked while its lock is held, because the timer's handler
/// allocates too (the ready queue is a linked list).
struct MaskedHeap;

#[global_allocator]
static GLOBAL: MaskedHeap = MaskedHeap;

// SAFETY: both calls go to the buddy allocator unchanged.
unsafe impl GlobalAlloc for MaskedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of GlobalAlloc.
        without_interrupts(|| unsafe { HEAP.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of GlobalAlloc.
        without_interrupts(|| unsafe { HEAP.dealloc(pointer, layout) })
    }
}

/// Gives [`HEAP_SPACE`] to the allocator; to be called once.
pub fn init() {
    // SAFETY: nothing else names HEAP_SPACE, and it is given away once.
    unsafe {
        HEAP.lock()
            .init(addr_of_mut!(HEAP_SPACE) as usize, KERNEL_HEAP_SIZE);
    }
}
