//! Physical frames and who owns them.

mod allocator;
mod frame_tracker;

pub use allocator::FRAME_ALLOCATOR;
pub use frame_tracker::FrameTracker;
