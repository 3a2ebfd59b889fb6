//! A stretch of an address space in which all pages are alike.

use super::Flags;
use crate::memory::{Range, VirtualAddress, VirtualPageNumber};

/// Where the frames come from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MapType {
    /// The physical address is the virtual one minus `KERNEL_MAP_OFFSET`.
    Linear,
    /// Each page gets a frame from the allocator, owned by the mapping.
    Framed,
}

/// A stretch of pages with one kind of mapping and one set of rights.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the frames come from.
    pub map_type: MapType,
    /// The addresses.
    pub range: Range<VirtualAddress>,
    /// R, W, X and U.
    pub flags: Flags,
}

impl Segment {
    /// The pages that hold the addresses.
    pub fn page_range(&self) -> Range<VirtualPageNumber> {
        Range {
            start: VirtualPageNumber::floor(self.range.start),
            end: VirtualPageNumber::ceil(self.range.end),
        }
    }
}
