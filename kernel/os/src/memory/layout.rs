//! Where the kernel and the memory end.

use super::address::{PhysicalAddress, VirtualAddress};
use crate::boot;
use lazy_static::lazy_static;

/// The end of the linear map: the last page of the address space stays unmapped, so that the address
/// after the last byte is still a number.
const LINEAR_MAP_END: PhysicalAddress = PhysicalAddress(0xffff_f000);

lazy_static! {
    /// The first address after the kernel's image, page aligned.
    pub static ref KERNEL_END_ADDRESS: VirtualAddress = VirtualAddress(kernel_end as *const () as usize);

    /// The end of the memory that the kernel manages.
    pub static ref MEMORY_END_ADDRESS: PhysicalAddress =
        PhysicalAddress(boot::information().memory_end).min(LINEAR_MAP_END);
}

extern "C" {
    fn kernel_end();
}
