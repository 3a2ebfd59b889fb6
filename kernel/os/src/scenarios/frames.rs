//! `frames`: frames taken (`frames=`, 100), given back in holes, taken twice, given back twice, all of them taken.

use super::{no_tick, nothing, Scenario};
use crate::boot;
use crate::memory::frame::FrameTracker;
use crate::memory::{MemoryResult, PhysicalPageNumber, FRAME_ALLOCATOR, MEMORY_END_ADDRESS};
use alloc::vec::Vec;

pub const SCENARIO: Scenario = Scenario {
    name: "frames",
    prepare,
    on_tick: no_tick,
    finish: nothing,
};

fn alloc() -> MemoryResult<FrameTracker> {
    FRAME_ALLOCATOR.lock().alloc()
}

fn print_state(when: &str) {
    let frames = FRAME_ALLOCATOR.lock();
    println!(
        "{}: {} of {} frames taken, {} free intervals",
        when,
        frames.used_frames(),
        frames.total_frames(),
        frames.free_intervals().count()
    );
    let free: usize = frames.free_intervals().map(|interval| interval.len()).sum();
    assert_eq!(free, frames.free_frames());
}

fn prepare() {
    print_state("at first");
    let mut taken = take(boot::positive("frames", 100));
    print_state("taken");
    each_is_its_own(&mut taken);
    holes(taken);
    print_state("given back");
    double_free();
    exhaust();
    print_state("at last");
}

fn take(count: usize) -> Vec<FrameTracker> {
    (0..count)
        .map(|_| alloc().expect("there are frames"))
        .collect()
}

/// Writes a word of its own into each frame and then reads them all.
fn each_is_its_own(taken: &mut [FrameTracker]) {
    for (number, frame) in taken.iter_mut().enumerate() {
        frame.bytes()[..8].copy_from_slice(&number.to_le_bytes());
    }
    for (number, frame) in taken.iter_mut().enumerate() {
        assert_eq!(frame.bytes()[..8], number.to_le_bytes());
    }
    if let [first, .., last] = taken {
        println!("frames from {:?} to {:?} are distinct", first, last);
    }
}

/// Gives every second frame back, which leaves holes, then takes the same ones again.
fn holes(taken: Vec<FrameTracker>) {
    let mut kept = Vec::new();
    let mut holes = Vec::new();
    for (number, frame) in taken.into_iter().enumerate() {
        if number % 2 == 0 {
            kept.push(frame);
        } else {
            holes.push(frame.page_number());
        }
    }
    print_state("every second one given back");
    let again = take(holes.len());
    assert!(
        again
            .iter()
            .all(|frame| holes.contains(&frame.page_number())),
        "the holes are filled first"
    );
    print_state("taken again");
}

fn double_free() {
    let number = alloc().expect("there are frames").page_number();
    // The tracker is gone, so the frame is free.
    refused("freed twice", number);
    refused(
        "that is not memory",
        PhysicalPageNumber::floor(*MEMORY_END_ADDRESS),
    );
    refused("below the kernel's end", PhysicalPageNumber(0x80000));
}

fn refused(what: &str, frame: PhysicalPageNumber) {
    let used = FRAME_ALLOCATOR.lock().used_frames();
    match FRAME_ALLOCATOR.lock().dealloc(frame) {
        Ok(()) => panic!("a frame {} was taken back: {:#x}", what, frame.0),
        Err(reason) => println!("frame {:#x} {}: refused, {}", frame.0, what, reason),
    }
    assert_eq!(used, FRAME_ALLOCATOR.lock().used_frames());
}

fn exhaust() {
    let free = FRAME_ALLOCATOR.lock().free_frames();
    let all = take(free);
    match alloc() {
        Ok(frame) => panic!("{:?} came from nowhere", frame),
        Err(reason) => println!("after {} frames: {}", all.len(), reason),
    }
}
