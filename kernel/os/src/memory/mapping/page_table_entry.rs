//! One entry of a page table (RISC-V privileged specification, "Sv39").

use crate::memory::PhysicalPageNumber;
use bitflags::bitflags;
use core::fmt;

bitflags! {
    /// The lowest 8 bits of an entry.
    #[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// V: the entry means something.
        const VALID = 1 << 0;
        /// R: loads may use it.
        const READABLE = 1 << 1;
        /// W: stores may use it.
        const WRITABLE = 1 << 2;
        /// X: instruction fetches may use it.
        const EXECUTABLE = 1 << 3;
        /// U: for U-mode.
        const USER = 1 << 4;
        /// G: in all address spaces.
        const GLOBAL = 1 << 5;
        /// A: was used.
        const ACCESSED = 1 << 6;
        /// D: was written through.
        const DIRTY = 1 << 7;
    }
}

impl Flags {
    /// R, W or X: the entry maps a page. Without them it leads to the next table.
    pub const LEAF: Flags = Flags::READABLE
        .union(Flags::WRITABLE)
        .union(Flags::EXECUTABLE);
}

/// An entry: the flags in bits 7..0, a physical page number in bits 53..10.
#[repr(transparent)]
#[derive(Copy, Clone, Default)]
pub struct PageTableEntry(usize);

const PAGE_NUMBER_SHIFT: usize = 10;
const PAGE_NUMBER_MASK: usize = (1 << 44) - 1;

impl PageTableEntry {
    /// An entry that leads to, or maps, `page_number`. It is valid.
    pub fn new(page_number: PhysicalPageNumber, flags: Flags) -> Self {
        let flags = flags | Flags::VALID;
        Self((page_number.0 & PAGE_NUMBER_MASK) << PAGE_NUMBER_SHIFT | flags.bits() as usize)
    }

    /// Makes the entry invalid.
    pub fn clear(&mut self) {
        self.0 = 0;
    }

    /// The page number.
    pub fn page_number(&self) -> PhysicalPageNumber {
        PhysicalPageNumber(self.0 >> PAGE_NUMBER_SHIFT & PAGE_NUMBER_MASK)
    }

    /// The flags.
    pub fn flags(&self) -> Flags {
        Flags::from_bits_truncate(self.0 as u8)
    }

    /// Whether V is set.
    pub fn is_valid(&self) -> bool {
        self.flags().contains(Flags::VALID)
    }

    /// Whether it maps a page, instead of leading to the next table.
    pub fn is_leaf(&self) -> bool {
        self.is_valid() && self.flags().intersects(Flags::LEAF)
    }
}

impl fmt::Debug for PageTableEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("PageTableEntry")
            .field("page_number", &self.page_number())
            .field("flags", &self.flags())
            .finish()
    }
}
