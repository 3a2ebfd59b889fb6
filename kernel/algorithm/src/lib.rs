//! Algorithms of the kernel that know nothing of the machine, so that their tests run on the host:
//! who gets which frame ([`Allocator`]) and who runs next ([`Scheduler`]).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod allocator;
mod scheduler;

pub use allocator::{Allocator, DeallocError, SegmentTreeAllocator, StackedAllocator};
pub use scheduler::{FifoScheduler, PriorityScheduler, Scheduler};
