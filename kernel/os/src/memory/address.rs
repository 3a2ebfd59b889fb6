//! Addresses and page numbers, physical and virtual.
//!
//! A conversion between the physical and the virtual side is the kernel's linear map: add or take away
//! `KERNEL_MAP_OFFSET`. A conversion from an address to its page number needs an aligned address; rounding has
//! to be asked for by name.

use crate::config::{KERNEL_MAP_OFFSET, PAGE_SIZE};
use core::fmt;
use core::ops::{Add, AddAssign, Sub, SubAssign};

/// A physical address.
#[repr(C)]
#[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct PhysicalAddress(pub usize);

/// A virtual address.
#[repr(C)]
#[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct VirtualAddress(pub usize);

/// A physical page number: the address of a frame divided by the page size.
#[repr(C)]
#[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct PhysicalPageNumber(pub usize);

/// A virtual page number. For a kernel address it has the address's sign bits: 52 bits, not Sv39's 27.
#[repr(C)]
#[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct VirtualPageNumber(pub usize);

macro_rules! number_like {
    ($type: ident) => {
        impl From<usize> for $type {
            fn from(value: usize) -> Self {
                Self(value)
            }
        }

        impl From<$type> for usize {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        impl Add<usize> for $type {
            type Output = Self;
            fn add(self, amount: usize) -> Self {
                Self(self.0 + amount)
            }
        }

        impl AddAssign<usize> for $type {
            fn add_assign(&mut self, amount: usize) {
                self.0 += amount;
            }
        }

        impl Sub<usize> for $type {
            type Output = Self;
            fn sub(self, amount: usize) -> Self {
                Self(self.0 - amount)
            }
        }

        impl SubAssign<usize> for $type {
            fn sub_assign(&mut self, amount: usize) {
                self.0 -= amount;
            }
        }

        impl Sub<$type> for $type {
            type Output = usize;
            fn sub(self, other: $type) -> usize {
                self.0 - other.0
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                write!(formatter, "{}({:#x})", stringify!($type), self.0)
            }
        }
    };
}

number_like!(PhysicalAddress);
number_like!(VirtualAddress);
number_like!(PhysicalPageNumber);
number_like!(VirtualPageNumber);

macro_rules! address_and_page {
    ($address: ident, $page: ident) => {
        impl From<$address> for $page {
            /// Panics if the address is not that of a page's first byte.
            fn from(address: $address) -> Self {
                assert!(
                    address.0 % PAGE_SIZE == 0,
                    "{:?} is not page aligned",
                    address
                );
                Self(address.0 / PAGE_SIZE)
            }
        }

        impl From<$page> for $address {
            fn from(page: $page) -> Self {
                Self(page.0 * PAGE_SIZE)
            }
        }

        impl $page {
            /// The page that holds `address`.
            pub const fn floor(address: $address) -> Self {
                Self(address.0 / PAGE_SIZE)
            }

            /// The first page that starts at or after `address`.
            pub const fn ceil(address: $address) -> Self {
                Self(address.0.div_ceil(PAGE_SIZE))
            }
        }
    };
}

address_and_page!(PhysicalAddress, PhysicalPageNumber);
address_and_page!(VirtualAddress, VirtualPageNumber);

impl From<PhysicalAddress> for VirtualAddress {
    fn from(address: PhysicalAddress) -> Self {
        Self(address.0 + KERNEL_MAP_OFFSET)
    }
}

impl From<VirtualAddress> for PhysicalAddress {
    fn from(address: VirtualAddress) -> Self {
        Self(address.0 - KERNEL_MAP_OFFSET)
    }
}

impl From<PhysicalPageNumber> for VirtualPageNumber {
    fn from(page: PhysicalPageNumber) -> Self {
        Self(page.0 + KERNEL_MAP_OFFSET / PAGE_SIZE)
    }
}

impl From<VirtualPageNumber> for PhysicalPageNumber {
    fn from(page: VirtualPageNumber) -> Self {
        Self(page.0 - KERNEL_MAP_OFFSET / PAGE_SIZE)
    }
}

impl VirtualAddress {
    /// The offset in its page, in bytes.
    pub const fn page_offset(self) -> usize {
        self.0 % PAGE_SIZE
    }
}

impl VirtualPageNumber {
    /// The indices into the three page tables, the root's first.
    pub const fn levels(self) -> [usize; 3] {
        [self.0 >> 18 & 0x1ff, self.0 >> 9 & 0x1ff, self.0 & 0x1ff]
    }
}

impl PhysicalPageNumber {
    /// Where the kernel's linear map shows the frame.
    pub fn as_mut_ptr<T>(self) -> *mut T {
        VirtualAddress::from(PhysicalAddress::from(self)).0 as *mut T
    }
}
