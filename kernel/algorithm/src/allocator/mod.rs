//! Allocators of single things with an index.

mod segment_tree;
mod stacked;

pub use segment_tree::SegmentTreeAllocator;
pub use stacked::StackedAllocator;

/// Why something was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeallocError {
    /// It is free already.
    AlreadyFree,
    /// The index is not below the capacity.
    OutOfRange,
}

/// Hands out the indices `0..capacity`, each to one owner at a time.
pub trait Allocator {
    /// An allocator with all indices free.
    fn new(capacity: usize) -> Self;

    /// Takes a free index, if there is one.
    fn alloc(&mut self) -> Option<usize>;

    /// Gives an index back; on an error nothing has changed.
    fn dealloc(&mut self, index: usize) -> Result<(), DeallocError>;

    /// How many indices are free.
    fn free_count(&self) -> usize;

    /// The first maximal interval of free indices that lies at or above `from`, as start and exclusive end.
    ///
    /// An interval that reaches over `from` is cut there. Nothing is allocated.
    fn free_interval_from(&self, from: usize) -> Option<(usize, usize)>;
}

#[cfg(test)]
mod tests;
