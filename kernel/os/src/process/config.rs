//! Sizes and places of stacks.

/// Bytes of a thread's stack.
pub const STACK_SIZE: usize = 0x8_0000;

/// Where the first thread's stack starts; the others follow, each with an unmapped page below it.
pub const STACK_BASE: usize = 0x100_0000;

/// Bytes of the stack on which traps are handled.
pub const KERNEL_STACK_SIZE: usize = 0x1_0000;

/// The priority of a thread for which nothing else is said; a higher number runs more often.
pub const DEFAULT_PRIORITY: usize = 1;
