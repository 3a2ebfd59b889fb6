//! Address spaces: a page table and the areas in it.

use super::address::{PhysPageNum, VPNRange, VirtAddr, VirtPageNum};
use super::frame_allocator::{frame_alloc, FrameTracker};
use super::page_table::{PTEFlags, PageTable};
use crate::config::{MEMORY_END, PAGE_SIZE, TRAMPOLINE, TRAP_CONTEXT, USER_STACK_SIZE};
use crate::sync::UPSafeCell;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::arch::asm;
use lazy_static::lazy_static;

pub const USER_BASE: usize = 0x1_0000;

extern "C" {
    fn stext();
    fn etext();
    fn srodata();
    fn erodata();
    fn sdata();
    fn edata();
    fn ebss();
    fn ekernel();
    fn strampoline();
}

bitflags! {
    pub struct MapPermission: u8 {
        const R = 2;
        const W = 4;
        const X = 8;
        const U = 16;
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum MapType {
    Identical,
    Framed,
}

pub struct MapArea {
    vpn_range: VPNRange,
    data_frames: BTreeMap<VirtPageNum, FrameTracker>,
    map_type: MapType,
    map_perm: MapPermission,
}

impl MapArea {
    pub fn new(start: usize, end: usize, map_type: MapType, map_perm: MapPermission) -> Self {
        Self {
            vpn_range: VPNRange::new(VirtAddr(start).floor(), VirtAddr(end).ceil()),
            data_frames: BTreeMap::new(),
            map_type,
            map_perm,
        }
    }

    fn map(&mut self, page_table: &mut PageTable) {
        let flags = PTEFlags::from_bits(self.map_perm.bits()).unwrap();
        for vpn in self.vpn_range.pages() {
            let ppn = match self.map_type {
                MapType::Identical => PhysPageNum(vpn.0),
                MapType::Framed => {
                    let frame = frame_alloc().unwrap();
                    let ppn = frame.ppn;
                    self.data_frames.insert(vpn, frame);
                    ppn
                }
            };
            page_table.map(vpn, ppn, flags);
        }
    }

    fn fill(&mut self, bytes: &[u8]) {
        for (chunk, vpn) in bytes.chunks(PAGE_SIZE).zip(self.vpn_range.pages()) {
            let frame = self.data_frames[&vpn].ppn;
            frame.get_bytes_array()[..chunk.len()].copy_from_slice(chunk);
        }
    }
}

pub struct MemorySet {
    page_table: PageTable,
    areas: Vec<MapArea>,
}

lazy_static! {
    pub static ref KERNEL_SPACE: Arc<UPSafeCell<MemorySet>> =
        Arc::new(UPSafeCell::new(MemorySet::new_kernel()));
}

impl MemorySet {
    fn new_bare() -> Self {
        Self {
            page_table: PageTable::new(),
            areas: Vec::new(),
        }
    }

    fn with_trampoline() -> Self {
        let mut found = Self::new_bare();
        found.page_table.map(
            VirtAddr(TRAMPOLINE).floor(),
            PhysPageNum(strampoline as *const () as usize >> 12),
            PTEFlags::R | PTEFlags::X,
        );
        found
    }

    fn push(&mut self, mut area: MapArea, bytes: &[u8]) {
        area.map(&mut self.page_table);
        area.fill(bytes);
        self.areas.push(area);
    }

    pub fn insert_framed_area(&mut self, start: usize, end: usize, map_perm: MapPermission) {
        self.push(MapArea::new(start, end, MapType::Framed, map_perm), &[]);
    }

    pub fn remove_area_with_start_vpn(&mut self, start: usize) {
        let page = VirtAddr(start).floor();
        let place = self
            .areas
            .iter()
            .position(|area| area.vpn_range.start() == page)
            .unwrap();
        for vpn in self.areas.remove(place).vpn_range.pages() {
            self.page_table.unmap(vpn);
        }
    }

    fn new_kernel() -> Self {
        use MapPermission as P;
        let mut found = Self::with_trampoline();
        let parts: [(unsafe extern "C" fn(), usize, P); 4] = [
            (stext, etext as *const () as usize, P::R | P::X),
            (srodata, erodata as *const () as usize, P::R),
            (sdata, edata as *const () as usize, P::R | P::W),
            (edata, ebss as *const () as usize, P::R | P::W),
        ];
        for (start, end, map_perm) in parts {
            let start = start as *const () as usize;
            found.push(MapArea::new(start, end, MapType::Identical, map_perm), &[]);
        }
        let start = ekernel as *const () as usize;
        let memory = MapArea::new(start, MEMORY_END, MapType::Identical, P::R | P::W);
        found.push(memory, &[]);
        found
    }

    /// That of a program, its bytes alone, and where its stacks may begin: behind a guard page.
    pub fn from_program(bytes: &[u8]) -> (Self, usize) {
        use MapPermission as P;
        let mut found = Self::with_trampoline();
        let end = USER_BASE + bytes.len();
        let all = P::R | P::W | P::X | P::U;
        found.push(MapArea::new(USER_BASE, end, MapType::Framed, all), bytes);
        (found, end.next_multiple_of(PAGE_SIZE) + PAGE_SIZE)
    }

    /// The same with a stack, and the page of its trap frame.
    ///
    /// Also returns the first address behind all but the last.
    pub fn from_app(bytes: &[u8]) -> (Self, usize) {
        use MapPermission as P;
        let (mut found, stack) = Self::from_program(bytes);
        let top = stack + USER_STACK_SIZE;
        found.insert_framed_area(stack, top, P::R | P::W | P::U);
        // For a heap, empty so far.
        found.insert_framed_area(top, top, P::R | P::W | P::U);
        found.insert_framed_area(TRAP_CONTEXT, TRAMPOLINE, P::R | P::W);
        (found, top)
    }

    /// A copy of another, with the same bytes in other frames.
    pub fn from_existed_user(other: &Self) -> Self {
        let mut found = Self::with_trampoline();
        for area in &other.areas {
            let mut copy = MapArea {
                vpn_range: area.vpn_range,
                data_frames: BTreeMap::new(),
                map_type: area.map_type,
                map_perm: area.map_perm,
            };
            copy.map(&mut found.page_table);
            for (vpn, frame) in &area.data_frames {
                let bytes = copy.data_frames[vpn].ppn.get_bytes_array();
                bytes.copy_from_slice(frame.ppn.get_bytes_array());
            }
            found.areas.push(copy);
        }
        found
    }

    pub fn activate(&self) {
        bare::write_csr!("satp", self.page_table.token());
        // SAFETY: the kernel lies where it did before.
        unsafe { asm!("sfence.vma") };
    }

    pub fn translate(&mut self, address: usize) -> PhysPageNum {
        let entry = self.page_table.translate(VirtAddr(address).floor());
        entry.unwrap().ppn()
    }

    pub fn token(&self) -> usize {
        self.page_table.token()
    }

    /// Gives all frames back but those of the tables.
    #[allow(dead_code)]
    pub fn recycle_data_pages(&mut self) {
        self.areas.clear();
    }

    #[allow(dead_code)]
    pub fn areas(&self) -> usize {
        self.areas.len()
    }
}
