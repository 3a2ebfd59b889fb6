//! A segment tree over a bitmap.

use super::{Allocator, DeallocError};
use alloc::vec;
use alloc::vec::Vec;

/// A complete binary tree of bits, the root at 1 and the children of `n` at `2n` and `2n + 1`. A bit is set if
/// all below it is taken: a leaf that is taken, an inner node both of whose children are set. So the lowest
/// free index is found on the way down, in as many steps as the tree has levels.
pub struct SegmentTreeAllocator {
    capacity: usize,
    /// How many leaves there are: a power of two, at least the capacity. Those beyond it are always taken.
    leaf_count: usize,
    free: usize,
    /// Bit `n` of the tree is bit `n % 8` of byte `n / 8`.
    tree: Vec<u8>,
}

impl SegmentTreeAllocator {
    fn is_taken(&self, node: usize) -> bool {
        self.tree[node / 8] & (1 << (node % 8)) != 0
    }

    fn set(&mut self, node: usize, taken: bool) {
        let bit = 1 << (node % 8);
        if taken {
            self.tree[node / 8] |= bit;
        } else {
            self.tree[node / 8] &= !bit;
        }
    }

    /// Makes the inner nodes above `node` agree with it.
    fn update_above(&mut self, mut node: usize) {
        while node > 1 {
            node /= 2;
            let taken = self.is_taken(2 * node) && self.is_taken(2 * node + 1);
            if taken == self.is_taken(node) {
                break;
            }
            self.set(node, taken);
        }
    }
}

impl Allocator for SegmentTreeAllocator {
    fn new(capacity: usize) -> Self {
        let leaf_count = capacity.max(1).next_power_of_two();
        let mut allocator = Self {
            capacity,
            leaf_count,
            free: capacity,
            tree: vec![0; (2 * leaf_count).div_ceil(8)],
        };
        for leaf in leaf_count + capacity..2 * leaf_count {
            allocator.set(leaf, true);
            allocator.update_above(leaf);
        }
        allocator
    }

    fn alloc(&mut self) -> Option<usize> {
        if self.is_taken(1) {
            return None;
        }
        let mut node = 1;
        while node < self.leaf_count {
            node *= 2;
            if self.is_taken(node) {
                node += 1;
            }
        }
        self.set(node, true);
        self.update_above(node);
        self.free -= 1;
        Some(node - self.leaf_count)
    }

    fn dealloc(&mut self, index: usize) -> Result<(), DeallocError> {
        if index >= self.capacity {
            return Err(DeallocError::OutOfRange);
        }
        let leaf = self.leaf_count + index;
        if !self.is_taken(leaf) {
            return Err(DeallocError::AlreadyFree);
        }
        self.set(leaf, false);
        self.update_above(leaf);
        self.free += 1;
        Ok(())
    }

    fn free_count(&self) -> usize {
        self.free
    }

    fn free_interval_from(&self, from: usize) -> Option<(usize, usize)> {
        let taken = |index: &usize| self.is_taken(self.leaf_count + *index);
        let start = (from..self.capacity).find(|index| !taken(index))?;
        let end = (start..self.capacity).find(taken).unwrap_or(self.capacity);
        Some((start, end))
    }
}
