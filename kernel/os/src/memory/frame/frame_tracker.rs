//! Ownership of one frame.

use super::FRAME_ALLOCATOR;
use crate::config::PAGE_SIZE;
use crate::memory::PhysicalPageNumber;
use core::fmt;

/// Owns a frame and gives it back when dropped.
pub struct FrameTracker(PhysicalPageNumber);

impl FrameTracker {
    /// Owns `frame`, which the allocator has just taken.
    #[inline(never)] // a place to trace, also in a release build: the frame is an argument here
    pub(super) fn new(frame: PhysicalPageNumber) -> Self {
        Self(frame)
    }

    /// The frame's number.
    pub fn page_number(&self) -> PhysicalPageNumber {
        self.0
    }

    /// The frame's bytes, through the linear map.
    pub fn bytes(&mut self) -> &mut [u8; PAGE_SIZE] {
        // SAFETY: the linear map covers all frames that the allocator hands out, and this tracker owns the frame.
        unsafe { &mut *self.0.as_mut_ptr() }
    }
}

impl Drop for FrameTracker {
    fn drop(&mut self) {
        if let Err(reason) = FRAME_ALLOCATOR.lock().dealloc(self.0) {
            panic!("{:?} cannot be freed: {}", self.0, reason);
        }
    }
}

impl fmt::Debug for FrameTracker {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "FrameTracker({:#x})", self.0 .0)
    }
}
