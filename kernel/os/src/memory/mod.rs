//! Memory: addresses, the kernel heap, physical frames, Sv39 mappings.

mod address;
mod heap;
mod layout;
mod range;

pub mod frame;
pub mod mapping;

pub use address::{PhysicalAddress, PhysicalPageNumber, VirtualAddress, VirtualPageNumber};
pub use frame::FRAME_ALLOCATOR;
pub use heap::HEAP;
pub use layout::{KERNEL_END_ADDRESS, MEMORY_END_ADDRESS};
pub use range::Range;

/// What a memory operation returns; the error is a sentence.
pub type MemoryResult<T> = Result<T, &'static str>;

/// Sets up the heap and the frame allocator. The kernel's own mapping comes with its process.
pub fn init() {
    heap::init();
    let frames = FRAME_ALLOCATOR.lock();
    println!(
        "memory: kernel ends at {:#x}, memory at {:#x}, {} free frames",
        PhysicalAddress::from(*KERNEL_END_ADDRESS).0,
        MEMORY_END_ADDRESS.0,
        frames.free_frames()
    );
}
