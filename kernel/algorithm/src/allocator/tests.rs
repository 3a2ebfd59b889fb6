//! What both allocators promise, and what only one does.

use super::*;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

fn intervals(allocator: &impl Allocator) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut from = 0;
    while let Some((start, end)) = allocator.free_interval_from(from) {
        assert!(start < end && from <= start, "{start}..{end} after {from}");
        all.push((start, end));
        from = end;
    }
    all
}

/// The intervals that a set of free indices makes.
fn expected_intervals(free: &BTreeSet<usize>) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = Vec::new();
    for &index in free {
        match all.last_mut() {
            Some((_, end)) if *end == index => *end += 1,
            _ => all.push((index, index + 1)),
        }
    }
    all
}

fn hands_out_each_index_once<A: Allocator>() {
    for capacity in [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000] {
        let mut allocator = A::new(capacity);
        let taken: BTreeSet<usize> = (0..capacity)
            .map(|_| allocator.alloc().expect("not all are taken"))
            .collect();
        assert_eq!(taken, (0..capacity).collect());
        assert_eq!(allocator.alloc(), None);
        assert_eq!(allocator.free_count(), 0);
        assert_eq!(intervals(&allocator), vec![]);
    }
}

fn refuses_what_is_not_taken<A: Allocator>() {
    let mut allocator = A::new(10);
    assert_eq!(allocator.dealloc(0), Err(DeallocError::AlreadyFree));
    assert_eq!(allocator.dealloc(10), Err(DeallocError::OutOfRange));
    assert_eq!(allocator.dealloc(usize::MAX), Err(DeallocError::OutOfRange));
    let index = allocator.alloc().unwrap();
    assert_eq!(allocator.dealloc(index), Ok(()));
    assert_eq!(allocator.dealloc(index), Err(DeallocError::AlreadyFree));
    assert_eq!(allocator.free_count(), 10);
    assert_eq!(intervals(&allocator), vec![(0, 10)]);
}

/// Compares a long random run with a plain set of free indices.
fn agrees_with_a_set<A: Allocator>(capacity: usize, seed: u64) {
    let mut allocator = A::new(capacity);
    let mut free: BTreeSet<usize> = (0..capacity).collect();
    let mut state = seed;
    for _ in 0..4000 {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let random = (state >> 33) as usize;
        if random % 3 == 0 {
            let index = random / 3 % (capacity + 2);
            let expected = if index >= capacity {
                Err(DeallocError::OutOfRange)
            } else if free.insert(index) {
                Ok(())
            } else {
                Err(DeallocError::AlreadyFree)
            };
            assert_eq!(allocator.dealloc(index), expected);
        } else {
            let index = allocator.alloc();
            assert_eq!(index.is_some(), !free.is_empty());
            if let Some(index) = index {
                assert!(free.remove(&index), "{index} was taken already");
            }
        }
        assert_eq!(allocator.free_count(), free.len());
        assert_eq!(intervals(&allocator), expected_intervals(&free));
    }
}

#[test]
fn stacked_hands_out_each_index_once() {
    hands_out_each_index_once::<StackedAllocator>();
}

#[test]
fn segment_tree_hands_out_each_index_once() {
    hands_out_each_index_once::<SegmentTreeAllocator>();
}

#[test]
fn stacked_refuses_what_is_not_taken() {
    refuses_what_is_not_taken::<StackedAllocator>();
}

#[test]
fn segment_tree_refuses_what_is_not_taken() {
    refuses_what_is_not_taken::<SegmentTreeAllocator>();
}

#[test]
fn stacked_agrees_with_a_set() {
    agrees_with_a_set::<StackedAllocator>(100, 1);
    agrees_with_a_set::<StackedAllocator>(64, 2);
}

#[test]
fn segment_tree_agrees_with_a_set() {
    agrees_with_a_set::<SegmentTreeAllocator>(100, 1);
    agrees_with_a_set::<SegmentTreeAllocator>(64, 2);
}

#[test]
fn stacked_takes_what_came_back_last() {
    let mut allocator = StackedAllocator::new(100);
    for _ in 0..50 {
        allocator.alloc();
    }
    allocator.dealloc(7).unwrap();
    allocator.dealloc(30).unwrap();
    assert_eq!(allocator.alloc(), Some(30));
    assert_eq!(allocator.alloc(), Some(7));
    assert_eq!(allocator.alloc(), Some(50));
}

#[test]
fn segment_tree_takes_the_lowest() {
    let mut allocator = SegmentTreeAllocator::new(100);
    for _ in 0..50 {
        allocator.alloc();
    }
    allocator.dealloc(30).unwrap();
    allocator.dealloc(7).unwrap();
    assert_eq!(allocator.alloc(), Some(7));
    assert_eq!(allocator.alloc(), Some(30));
    assert_eq!(allocator.alloc(), Some(50));
}

#[test]
fn free_interval_is_cut_at_from() {
    let stacked = StackedAllocator::new(10);
    let tree = SegmentTreeAllocator::new(10);
    assert_eq!(stacked.free_interval_from(4), Some((4, 10)));
    assert_eq!(tree.free_interval_from(4), Some((4, 10)));
    assert_eq!(stacked.free_interval_from(10), None);
    assert_eq!(tree.free_interval_from(10), None);
}
