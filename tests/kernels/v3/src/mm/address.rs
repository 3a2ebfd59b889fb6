//! Addresses and page numbers, each a type of its own.

use super::page_table::PageTableEntry;
use crate::config::PAGE_SIZE;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysAddr(pub usize);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtAddr(pub usize);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysPageNum(pub usize);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtPageNum(pub usize);

impl PhysAddr {
    pub fn ceil(self) -> PhysPageNum {
        PhysPageNum(self.0.div_ceil(PAGE_SIZE))
    }
}

impl VirtAddr {
    pub fn floor(self) -> VirtPageNum {
        VirtPageNum((self.0 >> 12) & ((1 << 52) - 1))
    }

    pub fn ceil(self) -> VirtPageNum {
        VirtPageNum(self.0.div_ceil(PAGE_SIZE))
    }
}

impl VirtPageNum {
    /// Which entry of the tables at levels 2, 1, 0 is its own.
    pub fn indexes(self) -> [usize; 3] {
        [self.0 >> 18 & 511, self.0 >> 9 & 511, self.0 & 511]
    }
}

impl PhysPageNum {
    /// The frame as bytes; memory is mapped where it lies.
    pub fn get_bytes_array(self) -> &'static mut [u8] {
        // SAFETY: whoever has the number owns the frame.
        unsafe { core::slice::from_raw_parts_mut((self.0 << 12) as *mut u8, PAGE_SIZE) }
    }

    pub fn get_pte_array(self) -> &'static mut [PageTableEntry] {
        // SAFETY: as above.
        unsafe { core::slice::from_raw_parts_mut((self.0 << 12) as *mut PageTableEntry, 512) }
    }

    pub fn get_mut<T>(self) -> &'static mut T {
        // SAFETY: as above.
        unsafe { &mut *((self.0 << 12) as *mut T) }
    }
}

#[derive(Clone, Copy)]
pub struct SimpleRange<T> {
    l: T,
    r: T,
}

pub type VPNRange = SimpleRange<VirtPageNum>;

impl VPNRange {
    pub fn new(l: VirtPageNum, r: VirtPageNum) -> Self {
        Self { l, r }
    }

    pub fn pages(self) -> impl Iterator<Item = VirtPageNum> {
        (self.l.0..self.r.0).map(VirtPageNum)
    }

    pub fn start(self) -> VirtPageNum {
        self.l
    }
}
