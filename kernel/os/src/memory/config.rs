//! The machine's layout.

use super::address::{PhysicalAddress, VirtualAddress};
use crate::boot;
use lazy_static::lazy_static;

/// Bytes in a page, and in a frame.
pub const PAGE_SIZE: usize = 4096;

/// Bytes of the kernel heap.
pub const KERNEL_HEAP_SIZE: usize = 0x80_0000;

/// A kernel address is the physical address plus this.
pub const KERNEL_MAP_OFFSET: usize = 0xffff_ffff_0000_0000;

/// QEMU's test device: a write ends QEMU with an exit status.
pub const SIFIVE_TEST_ADDRESS: PhysicalAddress = PhysicalAddress(0x10_0000);

/// The end of the linear map: the last page of the address space stays unmapped, so that the address
/// after the last byte is still a number.
const LINEAR_MAP_END: PhysicalAddress = PhysicalAddress(0xffff_f000);

lazy_static! {
    /// The first address after the kernel's image, page aligned.
    pub static ref KERNEL_END_ADDRESS: VirtualAddress = VirtualAddress(kernel_end as *const () as usize);

    /// The end of the memory that the kernel manages.
    pub static ref MEMORY_END_ADDRESS: PhysicalAddress =
        boot::information().memory_end.min(LINEAR_MAP_END);
}

extern "C" {
    fn kernel_end();
}
