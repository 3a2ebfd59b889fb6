//! Who owns which frame.

use super::address::{PhysAddr, PhysPageNum};
use crate::config::MEMORY_END;
use crate::sync::UPSafeCell;
use alloc::vec::Vec;
use lazy_static::lazy_static;

pub struct FrameTracker {
    pub ppn: PhysPageNum,
}

impl FrameTracker {
    fn new(ppn: PhysPageNum) -> Self {
        ppn.get_bytes_array().fill(0);
        Self { ppn }
    }
}

impl Drop for FrameTracker {
    fn drop(&mut self) {
        FRAME_ALLOCATOR.exclusive_access().dealloc(self.ppn);
    }
}

trait FrameAllocator {
    fn new() -> Self;
    fn init(&mut self, l: PhysPageNum, r: PhysPageNum);
    fn alloc(&mut self) -> Option<PhysPageNum>;
    fn dealloc(&mut self, ppn: PhysPageNum);
    fn free(&self) -> usize;
}

/// Frames that were never given out lie between two numbers; those that came back are on a stack.
#[cfg(not(feature = "bitmap"))]
pub struct StackFrameAllocator {
    current: usize,
    end: usize,
    recycled: Vec<usize>,
}

#[cfg(not(feature = "bitmap"))]
impl FrameAllocator for StackFrameAllocator {
    fn new() -> Self {
        Self {
            current: 0,
            end: 0,
            recycled: Vec::new(),
        }
    }

    fn init(&mut self, l: PhysPageNum, r: PhysPageNum) {
        (self.current, self.end) = (l.0, r.0);
    }

    fn alloc(&mut self) -> Option<PhysPageNum> {
        if let Some(ppn) = self.recycled.pop() {
            return Some(PhysPageNum(ppn));
        }
        let ppn = self.current;
        (ppn < self.end).then(|| {
            self.current += 1;
            PhysPageNum(ppn)
        })
    }

    fn dealloc(&mut self, ppn: PhysPageNum) {
        assert!(ppn.0 < self.current && !self.recycled.contains(&ppn.0));
        self.recycled.push(ppn.0);
    }

    fn free(&self) -> usize {
        self.end - self.current + self.recycled.len()
    }
}

/// A bit for each frame, as an exercise asks for.
#[cfg(feature = "bitmap")]
pub struct BitmapFrameAllocator {
    start: usize,
    bits: Vec<bool>,
}

#[cfg(feature = "bitmap")]
impl FrameAllocator for BitmapFrameAllocator {
    fn new() -> Self {
        Self {
            start: 0,
            bits: Vec::new(),
        }
    }

    fn init(&mut self, l: PhysPageNum, r: PhysPageNum) {
        self.start = l.0;
        self.bits.resize(r.0 - l.0, false);
    }

    fn alloc(&mut self) -> Option<PhysPageNum> {
        let place = self.bits.iter().position(|taken| !taken)?;
        self.bits[place] = true;
        Some(PhysPageNum(self.start + place))
    }

    fn dealloc(&mut self, ppn: PhysPageNum) {
        assert!(core::mem::take(&mut self.bits[ppn.0 - self.start]));
    }

    fn free(&self) -> usize {
        self.bits.iter().filter(|taken| !**taken).count()
    }
}

#[cfg(not(feature = "bitmap"))]
type FrameAllocatorImpl = StackFrameAllocator;
#[cfg(feature = "bitmap")]
type FrameAllocatorImpl = BitmapFrameAllocator;

lazy_static! {
    pub static ref FRAME_ALLOCATOR: UPSafeCell<FrameAllocatorImpl> =
        UPSafeCell::new(FrameAllocatorImpl::new());
}

pub fn init() {
    extern "C" {
        fn ekernel();
    }
    let first = PhysAddr(ekernel as *const () as usize).ceil();
    let behind = PhysAddr(MEMORY_END).ceil();
    FRAME_ALLOCATOR.exclusive_access().init(first, behind);
}

pub fn frame_alloc() -> Option<FrameTracker> {
    let ppn = FRAME_ALLOCATOR.exclusive_access().alloc();
    ppn.map(FrameTracker::new)
}

/// How many frames are free.
pub fn free_frames() -> usize {
    FRAME_ALLOCATOR.exclusive_access().free()
}
