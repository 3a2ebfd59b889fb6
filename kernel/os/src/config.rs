//! The machine's layout and the kernel's sizes: numbers that all the others build on.

/// Bytes in a page, and in a frame.
pub const PAGE_SIZE: usize = 4096;

/// A kernel address is the physical address plus this.
pub const KERNEL_MAP_OFFSET: usize = 0xffff_ffff_0000_0000;

/// The physical address of QEMU's test device: a write ends QEMU with an exit status.
pub const SIFIVE_TEST_ADDRESS: usize = 0x10_0000;

/// Bytes of the kernel heap.
pub const KERNEL_HEAP_SIZE: usize = 0x80_0000;

/// Bytes of the stack on which traps are handled.
pub const KERNEL_STACK_SIZE: usize = 0x1_0000;

/// Bytes of a thread's stack.
pub const STACK_SIZE: usize = 0x8_0000;

/// Where the first thread's stack starts; the others follow, each with an unmapped page below it.
pub const STACK_BASE: usize = 0x100_0000;

/// The priority of a thread for which nothing else is said; a higher number runs more often.
pub const DEFAULT_PRIORITY: usize = 1;
