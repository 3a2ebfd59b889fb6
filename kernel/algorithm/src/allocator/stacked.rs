//! A stack of intervals.

use super::{Allocator, DeallocError};
use alloc::vec::Vec;

/// Keeps what is free as a stack of intervals and takes from the top one. What comes back is joined to the
/// top interval if it is its neighbour, else it becomes the new top.
pub struct StackedAllocator {
    capacity: usize,
    /// Start and exclusive end; disjoint, never empty, in no order.
    list: Vec<(usize, usize)>,
}

impl Allocator for StackedAllocator {
    fn new(capacity: usize) -> Self {
        let mut list = Vec::new();
        if capacity > 0 {
            list.push((0, capacity));
        }
        Self { capacity, list }
    }

    fn alloc(&mut self) -> Option<usize> {
        let (start, end) = self.list.last_mut()?;
        let index = *start;
        *start += 1;
        if *start == *end {
            self.list.pop();
        }
        Some(index)
    }

    fn dealloc(&mut self, index: usize) -> Result<(), DeallocError> {
        if index >= self.capacity {
            return Err(DeallocError::OutOfRange);
        }
        let is_free = |&(start, end): &(usize, usize)| start <= index && index < end;
        if self.list.iter().any(is_free) {
            return Err(DeallocError::AlreadyFree);
        }
        match self.list.last_mut() {
            Some((start, _)) if *start == index + 1 => *start = index,
            Some((_, end)) if *end == index => *end = index + 1,
            _ => self.list.push((index, index + 1)),
        }
        Ok(())
    }

    fn free_count(&self) -> usize {
        self.list.iter().map(|(start, end)| end - start).sum()
    }

    fn free_interval_from(&self, from: usize) -> Option<(usize, usize)> {
        let start = self
            .list
            .iter()
            .filter(|(_, end)| *end > from)
            .map(|(start, _)| from.max(*start))
            .min()?;
        let mut end = start;
        // The stack is in no order: follow the intervals that continue each other.
        while let Some((_, next)) = self
            .list
            .iter()
            .find(|(first, last)| *first <= end && end < *last)
        {
            end = *next;
        }
        Some((start, end))
    }
}
