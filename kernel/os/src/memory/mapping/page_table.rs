//! A page table and the frame it is in.

use super::PageTableEntry;
use crate::config::PAGE_SIZE;
use crate::memory::frame::{FrameTracker, FRAME_ALLOCATOR};
use crate::memory::{MemoryResult, PhysicalPageNumber};

/// 512 entries: exactly a page.
#[repr(C)]
pub struct PageTable {
    /// The entries.
    pub entries: [PageTableEntry; PAGE_SIZE / 8],
}

impl PageTable {
    /// The page table in frame `page_number`.
    ///
    /// # Safety
    ///
    /// The frame holds a page table, and nobody else looks at it as long as the reference lives.
    pub unsafe fn at<'a>(page_number: PhysicalPageNumber) -> &'a mut PageTable {
        // SAFETY: the linear map shows every frame; the caller vouches for what is in it.
        unsafe { &mut *page_number.as_mut_ptr() }
    }
}

/// Owns the frame of a page table.
pub struct PageTableTracker(FrameTracker);

impl PageTableTracker {
    /// An empty page table in a frame of its own.
    pub fn new() -> MemoryResult<Self> {
        let mut frame = FRAME_ALLOCATOR.lock().alloc()?;
        frame.bytes().fill(0);
        Ok(Self(frame))
    }

    /// The frame's number.
    pub fn page_number(&self) -> PhysicalPageNumber {
        self.0.page_number()
    }
}
