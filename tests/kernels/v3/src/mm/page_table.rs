//! Sv39 page tables.

use super::address::{PhysPageNum, VirtAddr, VirtPageNum};
use super::frame_allocator::{frame_alloc, FrameTracker};
use alloc::vec;
use alloc::vec::Vec;
use bitflags::bitflags;

bitflags! {
    pub struct PTEFlags: u8 {
        const V = 1;
        const R = 2;
        const W = 4;
        const X = 8;
        const U = 16;
        const G = 32;
        const A = 64;
        const D = 128;
    }
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct PageTableEntry {
    pub bits: usize,
}

impl PageTableEntry {
    fn new(ppn: PhysPageNum, flags: PTEFlags) -> Self {
        Self {
            bits: ppn.0 << 10 | flags.bits() as usize,
        }
    }

    pub fn ppn(self) -> PhysPageNum {
        PhysPageNum(self.bits >> 10 & ((1 << 44) - 1))
    }

    fn is_valid(self) -> bool {
        self.bits & PTEFlags::V.bits() as usize != 0
    }
}

pub struct PageTable {
    root_ppn: PhysPageNum,
    frames: Vec<FrameTracker>,
}

impl PageTable {
    pub fn new() -> Self {
        let frame = frame_alloc().unwrap();
        Self {
            root_ppn: frame.ppn,
            frames: vec![frame],
        }
    }

    /// For a look into the table of somebody else.
    pub fn from_token(satp: usize) -> Self {
        Self {
            root_ppn: PhysPageNum(satp & ((1 << 44) - 1)),
            frames: Vec::new(),
        }
    }

    fn entry(&mut self, vpn: VirtPageNum, make: bool) -> Option<&'static mut PageTableEntry> {
        let mut ppn = self.root_ppn;
        let [upper @ .., last] = vpn.indexes();
        for index in upper {
            let entry = &mut ppn.get_pte_array()[index];
            if !entry.is_valid() {
                if !make {
                    return None;
                }
                let frame = frame_alloc().unwrap();
                *entry = PageTableEntry::new(frame.ppn, PTEFlags::V);
                self.frames.push(frame);
            }
            ppn = entry.ppn();
        }
        Some(&mut ppn.get_pte_array()[last])
    }

    pub fn map(&mut self, vpn: VirtPageNum, ppn: PhysPageNum, flags: PTEFlags) {
        let entry = self.entry(vpn, true).unwrap();
        assert!(!entry.is_valid());
        *entry = PageTableEntry::new(ppn, flags | PTEFlags::V);
    }

    pub fn unmap(&mut self, vpn: VirtPageNum) {
        let entry = self.entry(vpn, false).unwrap();
        assert!(entry.is_valid());
        entry.bits = 0;
    }

    pub fn translate(&mut self, vpn: VirtPageNum) -> Option<PageTableEntry> {
        self.entry(vpn, false)
            .map(|entry| *entry)
            .filter(|entry| entry.is_valid())
    }

    pub fn token(&self) -> usize {
        8 << 60 | self.root_ppn.0
    }
}

/// The bytes at a user's address.
pub fn user_text(token: usize, address: usize, size: usize) -> impl Iterator<Item = u8> {
    let mut table = PageTable::from_token(token);
    (address..address + size).map(move |at| {
        let entry = table.translate(VirtAddr(at).floor()).unwrap();
        entry.ppn().get_bytes_array()[at & 0xfff]
    })
}
