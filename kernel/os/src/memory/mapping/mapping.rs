//! The page tables of one address space, and the frames that are theirs.

use super::{Flags, MapType, PageTable, PageTableEntry, PageTableTracker, Segment};
use crate::config::PAGE_SIZE;
use crate::memory::frame::{FrameTracker, FRAME_ALLOCATOR};
use crate::memory::{
    MemoryResult, PhysicalAddress, PhysicalPageNumber, Range, VirtualAddress, VirtualPageNumber,
};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use riscv::asm::sfence_vma_all;
use riscv::register::satp;

/// Three levels of page tables.
pub struct Mapping {
    /// All tables, so that they are freed with the mapping.
    page_tables: Vec<PageTableTracker>,
    /// The root table's frame, for satp.
    root_ppn: PhysicalPageNumber,
    /// The frames of the Framed pages.
    mapped_pairs: VecDeque<(VirtualPageNumber, FrameTracker)>,
}

impl Mapping {
    /// A mapping of nothing: one empty root table.
    pub fn new() -> MemoryResult<Mapping> {
        let root_table = PageTableTracker::new()?;
        let root_ppn = root_table.page_number();
        Ok(Mapping {
            page_tables: Vec::from([root_table]),
            root_ppn,
            mapped_pairs: VecDeque::new(),
        })
    }

    /// The root table's frame.
    pub fn root_ppn(&self) -> PhysicalPageNumber {
        self.root_ppn
    }

    /// How many frames the tables take.
    pub fn table_frames(&self) -> usize {
        self.page_tables.len()
    }

    /// The frames behind Framed pages, in the order in which they were mapped.
    pub fn mapped_pairs(
        &self,
    ) -> impl Iterator<Item = (VirtualPageNumber, PhysicalPageNumber)> + '_ {
        self.mapped_pairs
            .iter()
            .map(|(page, frame)| (*page, frame.page_number()))
    }

    /// The last level's entry for `page`; makes the tables that lead there.
    pub fn find_entry(&mut self, page: VirtualPageNumber) -> MemoryResult<&mut PageTableEntry> {
        let [root_index, middle_index, leaf_index] = page.levels();
        let mut table_ppn = self.root_ppn;
        for index in [root_index, middle_index] {
            // SAFETY: table_ppn is the root's or comes from a valid inner entry, so it is one of page_tables;
            // this mapping is borrowed for as long as the entry is.
            let entry = unsafe { &mut PageTable::at(table_ppn).entries[index] };
            if !entry.is_valid() {
                let table = PageTableTracker::new()?;
                *entry = PageTableEntry::new(table.page_number(), Flags::VALID);
                self.page_tables.push(table);
            } else if entry.is_leaf() {
                return Err("a superpage is in the way");
            }
            table_ppn = entry.page_number();
        }
        // SAFETY: as above.
        Ok(unsafe { &mut PageTable::at(table_ppn).entries[leaf_index] })
    }

    /// The entry that decides about `page` today, and its level (0 for a 4 KiB page); makes no tables.
    fn walk(&self, page: VirtualPageNumber) -> Option<(PageTableEntry, usize)> {
        let mut table_ppn = self.root_ppn;
        for (index, level) in page.levels().into_iter().zip([2, 1, 0]) {
            // SAFETY: as in find_entry; the entry is only copied.
            let entry = unsafe { PageTable::at(table_ppn).entries[index] };
            if !entry.is_valid() {
                return None;
            }
            if entry.is_leaf() {
                return Some((entry, level));
            }
            table_ppn = entry.page_number();
        }
        None
    }

    /// Maps one page to one frame; refuses a page that is mapped already.
    ///
    /// The caller makes the change visible with a fence.
    #[inline(never)] // a place to trace, also in a release build
    pub fn map_one(
        &mut self,
        page: VirtualPageNumber,
        frame: PhysicalPageNumber,
        flags: Flags,
    ) -> MemoryResult<()> {
        // A hart without hardware updates faults on a page whose A or D is 0, so set them from the start.
        let mut flags = flags | Flags::VALID | Flags::ACCESSED;
        if flags.contains(Flags::WRITABLE) {
            flags |= Flags::DIRTY;
        }
        let entry = self.find_entry(page)?;
        if entry.is_valid() {
            return Err("the page is mapped already");
        }
        *entry = PageTableEntry::new(frame, flags);
        Ok(())
    }

    /// Maps a segment; the first bytes of a Framed one come from `initial_data`, the rest is zero.
    ///
    /// If it cannot be mapped as a whole, nothing of it is.
    #[inline(never)] // a place to trace, also in a release build
    pub fn map(&mut self, segment: &Segment, initial_data: Option<&[u8]>) -> MemoryResult<()> {
        let mut data = initial_data.unwrap_or(&[]);
        let pages = segment.page_range();
        for page in pages.iter() {
            let result = match segment.map_type {
                MapType::Linear => self.map_one(page, page.into(), segment.flags),
                MapType::Framed => {
                    let (now, later) = data.split_at(data.len().min(PAGE_SIZE));
                    data = later;
                    self.map_framed(page, segment.flags, now)
                }
            };
            if let Err(reason) = result {
                self.unmap_pages(Range {
                    start: pages.start,
                    end: page,
                });
                return Err(reason);
            }
        }
        // A hart may remember that there was nothing here.
        sfence_vma_all();
        Ok(())
    }

    fn map_framed(
        &mut self,
        page: VirtualPageNumber,
        flags: Flags,
        data: &[u8],
    ) -> MemoryResult<()> {
        let mut frame = FRAME_ALLOCATOR.lock().alloc()?;
        let bytes = frame.bytes();
        bytes[..data.len()].copy_from_slice(data);
        bytes[data.len()..].fill(0);
        self.map_one(page, frame.page_number(), flags)?;
        self.mapped_pairs.push_back((page, frame));
        Ok(())
    }

    /// Takes a segment's mapping away and frees the frames that were its own.
    #[inline(never)] // a place to trace, also in a release build
    pub fn unmap(&mut self, segment: &Segment) {
        self.unmap_pages(segment.page_range());
    }

    #[inline(never)] // a place to trace, also in a release build
    fn unmap_pages(&mut self, pages: Range<VirtualPageNumber>) {
        for page in pages.iter() {
            if let Some((_, 0)) = self.walk(page) {
                // The tables that lead there exist, so this makes none.
                if let Ok(entry) = self.find_entry(page) {
                    entry.clear();
                }
            }
        }
        // Before the frames get a new owner, no stale translation may lead to them.
        sfence_vma_all();
        self.mapped_pairs.retain(|(page, _)| !pages.contains(*page));
    }

    /// The physical address behind `address`, if it is mapped.
    pub fn lookup(&self, address: VirtualAddress) -> Option<PhysicalAddress> {
        let page = VirtualPageNumber::floor(address);
        let (entry, level) = self.walk(page)?;
        let low_pages = (1 << (9 * level)) - 1;
        let frame = entry.page_number() + (page.0 & low_pages);
        Some(PhysicalAddress::from(frame) + address.page_offset())
    }

    /// The rights of the page that holds `address`, if it is mapped.
    pub fn flags(&self, address: VirtualAddress) -> Option<Flags> {
        let (entry, _) = self.walk(VirtualPageNumber::floor(address))?;
        Some(entry.flags())
    }

    /// Makes the hart use these tables.
    pub fn activate(&self) {
        if !self.is_active() {
            // SAFETY: a mapping that is activated holds the kernel's segments, so the next instruction and the
            // stack stay where they are.
            unsafe { set_root(self.root_ppn) };
        }
    }

    /// Whether the hart uses these tables.
    pub fn is_active(&self) -> bool {
        let current = satp::read();
        current.mode() == satp::Mode::Sv39 && current.ppn() == self.root_ppn.0
    }
}

/// Makes the hart use the tables under this root; only called if it uses others.
///
/// # Safety
///
/// They map the code that runs and its stack where these are now.
#[inline(never)] // a place to trace, also in a release build: each entry is a change of satp
unsafe fn set_root(root_ppn: PhysicalPageNumber) {
    // SAFETY: the caller's promise.
    unsafe { satp::set(satp::Mode::Sv39, 0, root_ppn.0) };
    sfence_vma_all();
}
