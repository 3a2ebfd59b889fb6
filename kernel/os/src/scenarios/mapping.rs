//! `mapping`: segments added and removed, pages mapped, looked up, aliased and taken away.
//!
//! Prints `VA -> PA rights` for what it maps: a witness for a debugger's page walker.

use super::{no_tick, nothing, Scenario};
use crate::config::PAGE_SIZE;
use crate::memory::frame::FrameTracker;
use crate::memory::mapping::{Flags, MapType, MemorySet, Segment};
use crate::memory::{
    PhysicalAddress, PhysicalPageNumber, Range, VirtualAddress, VirtualPageNumber, FRAME_ALLOCATOR,
    KERNEL_END_ADDRESS,
};
use crate::process::KERNEL_PROCESS;
use alloc::vec::Vec;

pub const SCENARIO: Scenario = Scenario {
    name: "mapping",
    prepare,
    on_tick: no_tick,
    finish: nothing,
};

/// Where the segment goes: an address that no one else uses.
const PLACE: usize = 0x4000_0000;
/// Where one of its frames is shown a second time.
const ALIAS: usize = 0x5000_0000;
const PAGES: usize = 3;
const READ_WRITE: Flags = Flags::READABLE.union(Flags::WRITABLE);

fn prepare() {
    let memory_set = &mut KERNEL_PROCESS.inner().memory_set;
    println!(
        "root page table {:#x}",
        PhysicalAddress::from(memory_set.mapping.root_ppn()).0
    );
    kernel_sections(memory_set);
    let segment = framed_segment(memory_set);
    overlaps(memory_set, &segment);
    alias(memory_set);
    taken_away(memory_set, &segment);
    other_frame(memory_set);
    no_room(memory_set);
}

/// Prints where `address` leads and returns it.
pub(super) fn show(memory_set: &MemorySet, name: &str, address: usize) -> Option<PhysicalAddress> {
    let address = VirtualAddress(address);
    let physical = memory_set.mapping.lookup(address);
    match (physical, memory_set.mapping.flags(address)) {
        (Some(physical), Some(flags)) => {
            println!(
                "{} {:#x} -> {:#x} {}",
                name,
                address.0,
                physical.0,
                Rights(flags)
            );
        }
        _ => println!("{} {:#x} -> unmapped", name, address.0),
    }
    physical
}

/// Shows flags the way QEMU's `info mem` does.
struct Rights(Flags);

impl core::fmt::Display for Rights {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        let letters = [
            (Flags::READABLE, 'r'),
            (Flags::WRITABLE, 'w'),
            (Flags::EXECUTABLE, 'x'),
            (Flags::USER, 'u'),
            (Flags::GLOBAL, 'g'),
            (Flags::ACCESSED, 'a'),
            (Flags::DIRTY, 'd'),
        ];
        for (flag, letter) in letters {
            let letter = if self.0.contains(flag) { letter } else { '-' };
            write!(formatter, "{}", letter)?;
        }
        Ok(())
    }
}

/// The kernel's sections have exactly the rights they need, and the identity map is gone.
fn kernel_sections(memory_set: &MemorySet) {
    extern "C" {
        fn text_start();
        fn rodata_start();
        fn data_start();
        fn bss_start();
    }
    let section = |name, symbol: unsafe extern "C" fn(), expected: Flags| {
        let address = symbol as *const () as usize;
        let physical = show(memory_set, name, address).expect("the kernel is mapped");
        assert_eq!(physical, PhysicalAddress::from(VirtualAddress(address)));
        let flags = memory_set.mapping.flags(VirtualAddress(address));
        assert_eq!(
            flags.map(|flags| flags & (Flags::LEAF | Flags::USER)),
            Some(expected)
        );
    };
    section(".text", text_start, Flags::READABLE | Flags::EXECUTABLE);
    section(".rodata", rodata_start, Flags::READABLE);
    section(".data", data_start, READ_WRITE);
    section(".bss", bss_start, READ_WRITE);
    let frames = show(memory_set, "frames", KERNEL_END_ADDRESS.0);
    assert!(frames.is_some());
    assert_eq!(show(memory_set, "identity", 0x8020_0000), None);
}

/// A segment with frames of its own: filled from data, zero after that, visible in the linear map.
fn framed_segment(memory_set: &mut MemorySet) -> Segment {
    let segment = Segment {
        map_type: MapType::Framed,
        range: Range::from(PLACE..PLACE + PAGES * PAGE_SIZE),
        flags: READ_WRITE,
    };
    let text = b"hello from the other side of the page table";
    memory_set
        .add_segment(segment, Some(text))
        .expect("the place is free");
    println!(
        "segment {:?}: {} pages",
        segment.range,
        segment.page_range().len()
    );
    for page in segment.page_range().iter() {
        let address = VirtualAddress::from(page).0;
        let physical = show(memory_set, "framed", address + 8).expect("it was mapped");
        assert_eq!(physical.0 % PAGE_SIZE, 8);
    }
    // SAFETY: the bytes were just mapped, and nobody else knows them.
    let bytes = unsafe { core::slice::from_raw_parts(PLACE as *const u8, PAGES * PAGE_SIZE) };
    assert_eq!(&bytes[..text.len()], text);
    assert!(bytes[text.len()..].iter().all(|byte| *byte == 0));

    for number in 0..PAGES {
        let address = PLACE + number * PAGE_SIZE + 16;
        write(address, 0xfeed_0000 + number);
        let physical = memory_set.mapping.lookup(VirtualAddress(address));
        let linear = VirtualAddress::from(physical.expect("it was mapped"));
        assert_eq!(read(linear.0), 0xfeed_0000 + number);
    }
    println!("what is written there appears in the linear map");
    segment
}

fn overlaps(memory_set: &mut MemorySet, segment: &Segment) {
    let inside = Segment {
        range: Range::from(PLACE + PAGE_SIZE..PLACE + PAGE_SIZE + 1),
        ..*segment
    };
    let after = Range::from(PLACE + PAGES * PAGE_SIZE..PLACE + (PAGES + 1) * PAGE_SIZE);
    assert!(memory_set.overlap_with(inside.range));
    assert!(!memory_set.overlap_with(after));
    let refusal = memory_set.add_segment(inside, None);
    println!("segment {:?}: refused, {}", inside.range, error(refusal));
    let page = VirtualPageNumber::floor(VirtualAddress(PLACE));
    let refusal = memory_set
        .mapping
        .map_one(page, PhysicalPageNumber(0x80200), READ_WRITE);
    println!("page {:#x}: refused, {}", PLACE, error(refusal));
}

fn error(result: Result<(), &'static str>) -> &'static str {
    result.expect_err("this must be refused")
}

/// One frame at two addresses.
fn alias(memory_set: &mut MemorySet) {
    let physical = memory_set
        .mapping
        .lookup(VirtualAddress(PLACE))
        .expect("it was mapped");
    let page = Segment {
        map_type: MapType::Linear,
        range: Range::from(ALIAS..ALIAS + PAGE_SIZE),
        flags: Flags::READABLE,
    };
    memory_set
        .mapping
        .map_one(
            VirtualPageNumber::floor(page.range.start),
            PhysicalPageNumber::floor(physical),
            page.flags,
        )
        .expect("the place is free");
    riscv::asm::sfence_vma_all();
    assert_eq!(show(memory_set, "alias", ALIAS), Some(physical));
    write(PLACE + 24, 0xa11a5);
    assert_eq!(read(ALIAS + 24), 0xa11a5);
    println!("what is written at {:#x} appears at {:#x}", PLACE, ALIAS);
    memory_set.mapping.unmap(&page);
    assert_eq!(show(memory_set, "alias", ALIAS), None);
    assert_eq!(read(PLACE + 24), 0xa11a5);
}

fn taken_away(memory_set: &mut MemorySet, segment: &Segment) {
    let pairs = memory_set.mapping.mapped_pairs().count();
    memory_set
        .remove_segment(segment)
        .expect("the segment is there");
    for page in segment.page_range().iter() {
        let address = VirtualAddress::from(page).0;
        assert_eq!(show(memory_set, "removed", address), None);
    }
    assert_eq!(memory_set.mapping.mapped_pairs().count(), pairs - PAGES);
    let refusal = memory_set.remove_segment(segment);
    println!("segment {:?}: refused, {}", segment.range, error(refusal));
}

/// The same page with one frame and then another: the second one is seen, not a stale translation.
fn other_frame(memory_set: &mut MemorySet) {
    let segment = Segment {
        map_type: MapType::Framed,
        range: Range::from(PLACE..PLACE + PAGE_SIZE),
        flags: READ_WRITE,
    };
    // Keeps the first frame from coming back.
    let mut keep = None;
    for round in 0..2 {
        memory_set
            .add_segment(segment, None)
            .expect("the place is free");
        show(memory_set, "round", PLACE);
        assert_eq!(read(PLACE), 0, "a new frame is zero");
        write(PLACE, 0xdead_0000 + round);
        memory_set
            .remove_segment(&segment)
            .expect("the segment is there");
        keep.get_or_insert_with(|| FRAME_ALLOCATOR.lock().alloc());
    }
    println!("a new frame is seen at once");
}

/// A segment for which there are too few frames is not mapped at all.
fn no_room(memory_set: &mut MemorySet) {
    let free = FRAME_ALLOCATOR.lock().free_frames();
    let _others: Vec<FrameTracker> = (0..free - 50)
        .map(|_| FRAME_ALLOCATOR.lock().alloc().expect("there are frames"))
        .collect();
    let segment = Segment {
        map_type: MapType::Framed,
        range: Range::from(PLACE..PLACE + 100 * PAGE_SIZE),
        flags: READ_WRITE,
    };
    let refusal = memory_set.add_segment(segment, None);
    println!("segment {:?}: refused, {}", segment.range, error(refusal));
    assert_eq!(FRAME_ALLOCATOR.lock().free_frames(), 50);
    for page in segment.page_range().iter() {
        assert_eq!(memory_set.mapping.lookup(page.into()), None);
    }
}

fn read(address: usize) -> usize {
    // SAFETY: the callers pass aligned addresses that this scenario has mapped.
    unsafe { (address as *const usize).read_volatile() }
}

fn write(address: usize, value: usize) {
    // SAFETY: the callers pass aligned addresses that this scenario has mapped writable.
    unsafe { (address as *mut usize).write_volatile(value) }
}
