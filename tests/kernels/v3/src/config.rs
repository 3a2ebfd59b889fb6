//! Sizes and places.

pub const PAGE_SIZE: usize = 0x1000;
pub const USER_STACK_SIZE: usize = 2 * PAGE_SIZE;
pub const KERNEL_STACK_SIZE: usize = 2 * PAGE_SIZE;
pub const KERNEL_HEAP_SIZE: usize = 0x8_0000;
pub const MEMORY_END: usize = 0x8100_0000;
pub const TRAMPOLINE: usize = usize::MAX - PAGE_SIZE + 1;
pub const TRAP_CONTEXT: usize = TRAMPOLINE - PAGE_SIZE;
pub const TIME_SLICE: usize = 100_000;
