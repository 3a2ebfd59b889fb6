//! The frame allocator: page numbers over one of the index allocators of the `algorithm` crate.

use super::FrameTracker;
use crate::lock::Lock;
use crate::memory::{
    MemoryResult, PhysicalAddress, PhysicalPageNumber, Range, KERNEL_END_ADDRESS,
    MEMORY_END_ADDRESS,
};
use algorithm::Allocator;
use lazy_static::lazy_static;

/// The allocator that the cargo features choose.
#[cfg(not(feature = "allocator-bitmap"))]
pub type AllocatorImpl = algorithm::StackedAllocator;
/// The allocator that the cargo features choose.
#[cfg(feature = "allocator-bitmap")]
pub type AllocatorImpl = algorithm::SegmentTreeAllocator;

lazy_static! {
    /// All frames from the kernel's end to the end of the memory.
    pub static ref FRAME_ALLOCATOR: Lock<FrameAllocator<AllocatorImpl>> =
        Lock::new(FrameAllocator::new(Range {
            start: PhysicalPageNumber::ceil(PhysicalAddress::from(*KERNEL_END_ADDRESS)),
            end: PhysicalPageNumber::floor(*MEMORY_END_ADDRESS),
        }));
}

/// Hands out frames of one range.
pub struct FrameAllocator<T: Allocator> {
    /// The frame that is index 0 of `allocator`.
    start_ppn: PhysicalPageNumber,
    /// How many frames there are, free or not.
    frames: usize,
    /// Which of them are free.
    allocator: T,
}

impl<T: Allocator> FrameAllocator<T> {
    /// An allocator with all of `range` free.
    pub fn new(range: Range<PhysicalPageNumber>) -> Self {
        Self {
            start_ppn: range.start,
            frames: range.len(),
            allocator: T::new(range.len()),
        }
    }

    /// Takes a frame; its content is whatever was there.
    #[inline(never)] // a place to trace, also in a release build
    pub fn alloc(&mut self) -> MemoryResult<FrameTracker> {
        self.allocator
            .alloc()
            .map(|index| FrameTracker::new(self.start_ppn + index))
            .ok_or("no free frame")
    }

    /// Takes a frame back; refuses one that is free already, or that was never ours.
    #[inline(never)] // a place to trace, also in a release build
    pub fn dealloc(&mut self, frame: PhysicalPageNumber) -> MemoryResult<()> {
        let index = frame
            .0
            .checked_sub(self.start_ppn.0)
            .ok_or("the frame lies below the managed memory")?;
        self.allocator.dealloc(index).map_err(|error| match error {
            algorithm::DeallocError::AlreadyFree => "the frame is free already",
            algorithm::DeallocError::OutOfRange => "the frame lies above the managed memory",
        })
    }

    /// How many frames are managed.
    pub fn total_frames(&self) -> usize {
        self.frames
    }

    /// How many of them are free.
    pub fn free_frames(&self) -> usize {
        self.allocator.free_count()
    }

    /// How many of them are taken.
    pub fn used_frames(&self) -> usize {
        self.frames - self.free_frames()
    }

    /// The maximal intervals of free frames, ascending.
    pub fn free_intervals(&self) -> impl Iterator<Item = Range<PhysicalPageNumber>> + '_ {
        let mut from = 0;
        core::iter::from_fn(move || {
            let (start, end) = self.allocator.free_interval_from(from)?;
            from = end;
            Some(Range {
                start: self.start_ppn + start,
                end: self.start_ppn + end,
            })
        })
    }
}
