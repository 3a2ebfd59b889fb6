//! An address space: its segments and the mapping that carries them out.

use super::{Flags, MapType, Mapping, Segment};
use crate::config::{PAGE_SIZE, SIFIVE_TEST_ADDRESS};
use crate::memory::{
    MemoryResult, PhysicalAddress, Range, VirtualAddress, KERNEL_END_ADDRESS, MEMORY_END_ADDRESS,
};
use alloc::vec;
use alloc::vec::Vec;

/// The segments of an address space and their mapping.
pub struct MemorySet {
    /// The page tables.
    pub mapping: Mapping,
    /// What is mapped, in no order.
    pub segments: Vec<Segment>,
}

extern "C" {
    fn text_start();
    fn rodata_start();
    fn data_start();
    fn bss_start();
}

impl MemorySet {
    /// The kernel's own segments, each with exactly the rights it needs.
    pub fn new_kernel() -> MemoryResult<MemorySet> {
        let linear = |start: usize, end: usize, flags: Flags| Segment {
            map_type: MapType::Linear,
            range: Range::from(start..end),
            flags,
        };
        let [text, rodata, data, bss] = [text_start, rodata_start, data_start, bss_start]
            .map(|symbol| symbol as *const () as usize);
        let read_write = Flags::READABLE | Flags::WRITABLE;
        let test_device = VirtualAddress::from(PhysicalAddress(SIFIVE_TEST_ADDRESS)).0;
        let kernel_end = KERNEL_END_ADDRESS.0;
        let memory_end = VirtualAddress::from(PhysicalAddress(MEMORY_END_ADDRESS.0)).0;

        let segments = vec![
            // the device that ends QEMU
            linear(test_device, test_device + PAGE_SIZE, read_write),
            // .text
            linear(text, rodata, Flags::READABLE | Flags::EXECUTABLE),
            // .rodata
            linear(rodata, data, Flags::READABLE),
            // .data
            linear(data, bss, read_write),
            // .bss
            linear(bss, kernel_end, read_write),
            // the frames
            linear(kernel_end, memory_end, read_write),
        ];
        let mut mapping = Mapping::new()?;
        for segment in segments.iter() {
            mapping.map(segment, None)?;
        }
        Ok(MemorySet { mapping, segments })
    }

    /// Makes the hart use this address space.
    #[inline(never)] // a place to trace, also in a release build
    pub fn activate(&self) {
        self.mapping.activate();
    }

    /// Whether the hart uses this address space.
    pub fn is_active(&self) -> bool {
        self.mapping.is_active()
    }

    /// Maps one more segment; refuses one that overlaps with another.
    pub fn add_segment(
        &mut self,
        segment: Segment,
        initial_data: Option<&[u8]>,
    ) -> MemoryResult<()> {
        if self.overlap_with(segment.range) {
            return Err("the segment overlaps with another one");
        }
        self.mapping.map(&segment, initial_data)?;
        self.segments.push(segment);
        Ok(())
    }

    /// Takes a segment away, with its frames; refuses one that is not there.
    pub fn remove_segment(&mut self, segment: &Segment) -> MemoryResult<()> {
        let index = self
            .segments
            .iter()
            .position(|other| other == segment)
            .ok_or("there is no such segment")?;
        self.segments.remove(index);
        self.mapping.unmap(segment);
        Ok(())
    }

    /// Whether a page of `range` belongs to a segment.
    pub fn overlap_with(&self, range: Range<VirtualAddress>) -> bool {
        let candidate = Segment {
            map_type: MapType::Framed,
            range,
            flags: Flags::empty(),
        };
        self.segments
            .iter()
            .any(|segment| segment.page_range().overlap_with(&candidate.page_range()))
    }
}
