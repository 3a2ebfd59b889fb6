//! `heap`: boxes, vectors and collections, and everything given back.

use super::{no_tick, nothing, Scenario};
use crate::mask::without_interrupts;
use crate::memory::HEAP;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub const SCENARIO: Scenario = Scenario {
    name: "heap",
    prepare,
    on_tick: no_tick,
    finish: nothing,
};

/// Bytes that were asked for, and bytes taken for that: blocks are powers of two.
fn usage() -> (usize, usize) {
    without_interrupts(|| {
        let heap = HEAP.lock();
        (heap.stats_alloc_user(), heap.stats_alloc_actual())
    })
}

fn prepare() {
    let before = usage();
    boxes_and_vectors();
    println!("heap test passed");
    collections();
    println!("collections test passed");
    sizes();
    println!("sizes test passed");
    let after = usage();
    println!(
        "heap: {} bytes in {} before, {} in {} after",
        before.0, before.1, after.0, after.1
    );
    assert_eq!(before, after, "heap blocks are missing");
}

/// The seed's test.
fn boxes_and_vectors() {
    let v = Box::new(5);
    assert_eq!(*v, 5);
    core::mem::drop(v);
    let mut vec = Vec::new();
    for i in 0..10000 {
        vec.push(i);
    }
    assert_eq!(vec.len(), 10000);
    for (i, value) in vec.into_iter().enumerate() {
        assert_eq!(value, i);
    }
}

fn collections() {
    let names: BTreeMap<usize, String> = (0..100).map(|n| (n, n.to_string())).collect();
    assert!(names.iter().all(|(n, name)| name.parse() == Ok(*n)));
    let joined = names.into_values().collect::<Vec<_>>().join(" ");
    println!("{} bytes in one string", joined.len());
    assert_eq!(joined.len(), 10 + 2 * 90 + 99);
}

/// Blocks of all sizes at once, none over another, freed in another order.
fn sizes() {
    let mut blocks: Vec<Vec<u8>> = (0..200).map(|n| [n as u8].repeat(1 + n * n)).collect();
    let mut kept = Vec::new();
    while !blocks.is_empty() {
        let block = blocks.swap_remove(blocks.len() / 2);
        let expected = block[0];
        assert_eq!(block.len(), 1 + usize::from(expected).pow(2));
        assert!(block.iter().all(|byte| *byte == expected));
        if expected % 3 == 0 {
            kept.push(block);
        }
    }
    assert_eq!(kept.len(), 67);
}
