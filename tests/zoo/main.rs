//! One of each kind of value that rcdbg shows, made by Rust itself: tests/integration/test_zoo.py reads them back.
//!
//! The test builds this in place of the kernel's own main.rs. It runs in S-mode without paging.

#![no_std]
#![no_main]
#![feature(allocator_api)]
#![allow(dead_code)] // most of it is only looked at

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap, LinkedList, VecDeque};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use bitflags::bitflags;
use core::alloc::{AllocError, Allocator, GlobalAlloc, Layout};
use core::arch::global_asm;
use core::cell::{Cell, OnceCell, RefCell};
use core::hash::{BuildHasherDefault, Hasher};
use core::mem::{forget, ManuallyDrop, MaybeUninit};
use core::num::NonZeroU32;
use core::ops::Range;
use core::panic::PanicInfo;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use hashbrown::{HashMap, HashSet};
use lazy_static::lazy_static;
use spin::{Mutex, Once, RwLock};

global_asm!(
    ".section .text.entry",
    ".globl _start",
    "_start:",
    "la sp, {stack} + 0x10000",
    "call {main}",
    "1: j 1b",
    stack = sym STACK,
    main = sym main,
);

#[repr(align(16))]
struct Bytes<const N: usize>([u8; N]);

static mut STACK: Bytes<0x10000> = Bytes([0; 0x10000]);
static mut HEAP: Bytes<0x80000> = Bytes([0; 0x80000]);

/// Gives memory, takes none back.
struct Bump(AtomicUsize);

// SAFETY: each byte of HEAP is given out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = (self.0.load(Ordering::Relaxed) + layout.align() - 1) & !(layout.align() - 1);
        self.0.store(start + layout.size(), Ordering::Relaxed);
        assert!(start + layout.size() <= 0x80000);
        // SAFETY: it was just checked to lie inside.
        unsafe { (&raw mut HEAP).cast::<u8>().add(start) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

// SAFETY: what it gives it never gives again.
unsafe impl Allocator for Bump {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: an allocator may be asked for any layout.
        let start = NonNull::new(unsafe { self.alloc(layout) }).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump(AtomicUsize::new(0));

#[derive(Default)]
struct Sum(u64);

impl Hasher for Sum {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(31) + u64::from(*byte);
        }
    }
}

type Hash = BuildHasherDefault<Sum>;

bitflags! {
    struct Rights: u8 {
        const READ = 1;
        const WRITE = 2;
        const EXECUTE = 8;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Colour {
    Red = 3,
    Green = 200,
}

enum Shape {
    Circle(f64),
    Square { side: u32, name: &'static str },
    Nothing,
}

#[repr(i32)]
enum Below {
    Unit = -2,
    Two(u32, u32) = -1,
    Three { x: u16 } = 0,
    Far(u8) = i32::MIN,
}

#[repr(i8)]
enum BelowByte {
    Low(u8) = -128,
    High(u8) = 127,
}

#[repr(i128)]
enum BelowWide {
    Low(u8) = i128::MIN,
    Last(u8) = -1,
}

#[repr(u32)]
enum Above {
    Small(u8) = 0xfe,
    Large(u8) = u32::MAX,
}

/// Of a size that only a pointer to it tells.
struct Tail<T: ?Sized> {
    number: u32,
    rest: T,
}

trait Animal {
    fn legs(&self) -> u32;
}

struct Dog {
    age: u16,
}

struct Bird {
    #[allow(dead_code)]
    wings: u128,
}

impl Animal for Dog {
    fn legs(&self) -> u32 {
        4 + u32::from(self.age)
    }
}

impl Animal for Bird {
    fn legs(&self) -> u32 {
        2
    }
}

struct Address(usize);

struct Ring {
    number: u32,
    next: RefCell<Option<Rc<Ring>>>,
}

fn double(number: u32) -> u32 {
    number * 2
}

struct Zoo {
    signed: i32,
    wide: u128,
    single: f32,
    letter: char,
    yes: bool,
    none: Option<Box<u32>>,
    some: Option<u32>,
    nested: Option<Option<Arc<Mutex<Vec<Option<u8>>>>>>,
    ok: Result<u32, &'static str>,
    err: Result<u32, &'static str>,
    boxed: Box<u64>,
    shared: Arc<u64>,
    counted: Rc<u64>,
    weak: Weak<u64>,
    dropped: Weak<u64>,
    homeless: Weak<u64>,
    vec: Vec<u32>,
    empty: Vec<u32>,
    pairs: Vec<(u8, Colour)>,
    bytes: Vec<u8>,
    deque: VecDeque<u16>,
    list: LinkedList<i64>,
    tree: BTreeMap<u32, String>,
    no_tree: BTreeMap<u32, u32>,
    names: BTreeMap<String, u32>,
    ordered: BTreeSet<i16>,
    heap: BinaryHeap<u8>,
    map: HashMap<u32, u64, Hash>,
    set: HashSet<u32, Hash>,
    string: String,
    text: &'static str,
    slice: &'static [u16],
    boxed_text: Box<str>,
    boxed_slice: Box<[u32]>,
    shared_slice: Arc<[u32]>,
    shared_text: Arc<str>,
    range: Range<usize>,
    cell: Cell<i8>,
    at_rest: RefCell<u32>,
    read_twice: RefCell<u32>,
    written: RefCell<u32>,
    open: Mutex<u32>,
    held: Mutex<u32>,
    reading: RwLock<u32>,
    writing: RwLock<u32>,
    set_once: Once<u32>,
    unset_once: Once<u32>,
    cell_set: OnceCell<u32>,
    cell_unset: OnceCell<u32>,
    flag: AtomicBool,
    atomic: AtomicI32,
    rights: Rights,
    colour: Colour,
    circle: Shape,
    square: Shape,
    nothing: Shape,
    dog: Box<dyn Animal>,
    bird: Arc<dyn Animal>,
    function: fn(u32) -> u32,
    null: *const u32,
    tuple: (u8, &'static str, bool),
    array: [[u16; 2]; 3],
    unit: (),
    nonzero: NonZeroU32,
    manual: ManuallyDrop<u32>,
    maybe: MaybeUninit<u32>,
    address: Address,
    ring: Rc<Ring>,
    below: [Below; 4],
    below_byte: [BelowByte; 2],
    below_wide: [BelowWide; 2],
    above: [Above; 2],
    arena_vec: Vec<u8, &'static Bump>,
    arena_deque: VecDeque<u16, &'static Bump>,
    arena_box: Box<u32, &'static Bump>,
    arena_slice: Box<[u16], &'static Bump>,
    arena_dog: Box<dyn Animal, &'static Bump>,
    tail: &'static Tail<[u16]>,
    boxed_tail: Box<Tail<[u32]>>,
    shared_tail: Arc<Tail<[u16]>>,
    living_tail: Box<Tail<dyn Animal>>,
    shared_living_tail: Arc<Tail<dyn Animal>>,
    deep_tail: &'static Tail<Tail<[u8]>>,
    units: VecDeque<()>,
    unit_vec: Vec<()>,
    unit_map: HashMap<(u8, u8), (), Hash>,
    unit_tree: BTreeMap<u16, ()>,
    null_slice: *const [u32],
    raw_slice: *const [u8],
    with_unit: (u8, (), u16),
    some_none: Option<Option<u32>>,
    some_some_none: Option<Option<Option<u32>>>,
    not_text: &'static str,
    back_slash: &'static str,
}

struct Shared(Zoo);

// SAFETY: there is one hart.
unsafe impl Sync for Shared {}
// SAFETY: the same.
unsafe impl Send for Shared {}

static ZOO: Once<Shared> = Once::new();
static UNSET: Once<Shared> = Once::new();

static ÜBER: AtomicUsize = AtomicUsize::new(77);
static BROKEN: &[u8] = b"a\xff\\b";

lazy_static! {
    static ref TOUCHED: Mutex<u32> = Mutex::new(76);
    static ref UNTOUCHED: Mutex<u32> = Mutex::new(78);
}

fn ring() -> Rc<Ring> {
    let first = Rc::new(Ring { number: 1, next: RefCell::new(None) });
    let second = Rc::new(Ring { number: 2, next: RefCell::new(Some(first.clone())) });
    *first.next.borrow_mut() = Some(second);
    first
}

fn zoo() -> Zoo {
    let shared = Arc::new(5);
    forget(shared.clone());
    let weak = Arc::downgrade(&shared);
    let mut deque: VecDeque<u16> = VecDeque::with_capacity(4);
    deque.extend([9, 9, 1, 2]);
    deque.pop_front();
    deque.pop_front();
    deque.extend([3, 4]);
    let mut arena_vec = Vec::new_in(&ALLOCATOR);
    arena_vec.extend([1, 2]);
    let mut arena_deque = VecDeque::new_in(&ALLOCATOR);
    arena_deque.extend([7, 8]);
    let mut arena_slice = Vec::new_in(&ALLOCATOR);
    arena_slice.extend([21, 22]);
    let zoo = Zoo {
        signed: -5,
        wide: 1 << 100,
        single: 1.5,
        letter: 'é',
        yes: true,
        none: None,
        some: Some(7),
        nested: Some(Some(Arc::new(Mutex::new(Vec::from([Some(1), None]))))),
        ok: Ok(3),
        err: Err("no"),
        boxed: Box::new(1 << 40),
        shared,
        counted: Rc::new(6),
        weak,
        dropped: Arc::downgrade(&Arc::new(1)),
        homeless: Weak::new(),
        vec: (0..100).map(|n| n * n).collect(),
        empty: Vec::new(),
        pairs: Vec::from([(1, Colour::Red), (2, Colour::Green)]),
        bytes: Vec::from([0xde, 0xad]),
        deque,
        list: LinkedList::from([-1, 2, -3]),
        tree: (0..1000).map(|n| (n * 3, n.to_string())).collect(),
        no_tree: BTreeMap::new(),
        names: BTreeMap::from([("one".into(), 1), ("two words".into(), 2)]),
        ordered: BTreeSet::from([5, -7, 300]),
        heap: BinaryHeap::from([1, 9, 4]),
        map: (0..50).map(|n| (n, u64::from(n) * 1000)).collect(),
        set: (0..20).map(|n| n * 7).collect(),
        string: "héllo \"you\"\n".into(),
        text: "static",
        slice: &[1, 2, 3],
        boxed_text: "boxed".into(),
        boxed_slice: Box::new([10, 20]),
        shared_slice: Arc::new([30, 40, 50]),
        shared_text: "shared".into(),
        range: 16..4096,
        cell: Cell::new(-8),
        at_rest: RefCell::new(1),
        read_twice: RefCell::new(2),
        written: RefCell::new(3),
        open: Mutex::new(11),
        held: Mutex::new(12),
        reading: RwLock::new(13),
        writing: RwLock::new(14),
        set_once: Once::initialized(15),
        unset_once: Once::new(),
        cell_set: OnceCell::from(16),
        cell_unset: OnceCell::new(),
        flag: AtomicBool::new(true),
        atomic: AtomicI32::new(-17),
        rights: Rights::READ | Rights::EXECUTE,
        colour: Colour::Green,
        circle: Shape::Circle(2.5),
        square: Shape::Square { side: 6, name: "box" },
        nothing: Shape::Nothing,
        dog: Box::new(Dog { age: 12 }),
        bird: Arc::new(Bird { wings: 2 }),
        function: double,
        null: core::ptr::null(),
        tuple: (1, "two", true),
        array: [[1, 2], [3, 4], [5, 6]],
        unit: (),
        nonzero: NonZeroU32::MIN,
        manual: ManuallyDrop::new(18),
        maybe: MaybeUninit::new(19),
        address: Address(0x1000),
        ring: ring(),
        below: [Below::Unit, Below::Two(1, 2), Below::Three { x: 3 }, Below::Far(5)],
        below_byte: [BelowByte::Low(1), BelowByte::High(2)],
        below_wide: [BelowWide::Low(1), BelowWide::Last(2)],
        above: [Above::Small(1), Above::Large(2)],
        arena_vec,
        arena_deque,
        arena_box: Box::new_in(9, &ALLOCATOR),
        arena_slice: arena_slice.into_boxed_slice(),
        arena_dog: Box::new_in(Dog { age: 3 }, &ALLOCATOR),
        tail: &Tail { number: 1, rest: [2, 3] },
        boxed_tail: Box::new(Tail { number: 4, rest: [5] }),
        shared_tail: Arc::new(Tail { number: 6, rest: [7, 8, 9] }),
        living_tail: Box::new(Tail { number: 10, rest: Bird { wings: 1 << 90 } }),
        shared_living_tail: Arc::new(Tail { number: 12, rest: Dog { age: 13 } }),
        deep_tail: &Tail { number: 14, rest: Tail { number: 15, rest: [16, 17, 18] } },
        units: [(); 3].into(),
        unit_vec: [(); 4].into(),
        unit_map: [((1, 2), ())].into_iter().collect(),
        unit_tree: BTreeMap::from([(3, ()), (4, ())]),
        null_slice: core::ptr::slice_from_raw_parts(core::ptr::null(), 5),
        raw_slice: &raw const b"ab"[..],
        with_unit: (1, (), 3),
        some_none: Some(None),
        some_some_none: Some(Some(None)),
        // SAFETY: it is none, which is what a debugger is for; nobody reads it here.
        not_text: unsafe { core::str::from_utf8_unchecked(core::hint::black_box(BROKEN)) },
        back_slash: "a\\b",
    };
    forget(zoo.read_twice.borrow());
    forget(zoo.read_twice.borrow());
    forget(zoo.written.borrow_mut());
    forget(zoo.held.lock());
    forget(zoo.reading.read());
    forget(zoo.reading.read());
    forget(zoo.writing.write());
    zoo
}

#[no_mangle]
#[inline(never)]
extern "C" fn ready(zoo: &Shared) -> u32 {
    ÜBER.fetch_add(1, Ordering::Relaxed);
    zoo.0.dog.legs() + zoo.0.bird.legs() + *TOUCHED.lock()
}

/// Does what never returns, behind a function of the library that has not saved its caller.
#[inline(never)]
fn give_up(nothing: Option<usize>) -> usize {
    nothing.expect("nothing there") + 1
}

#[no_mangle]
#[inline(never)]
fn try_it(what: Option<usize>) -> usize {
    give_up(what) * 2
}

extern "C" fn main() -> ! {
    *TOUCHED.lock() += 1;
    ZOO.call_once(|| Shared(zoo()));
    ready(ZOO.wait());
    core::hint::black_box(try_it(core::hint::black_box(None)));
    if UNSET.is_completed() {
        // Keeps what is never touched.
        UNSET.call_once(|| Shared(zoo()));
        forget(UNTOUCHED.lock());
    }
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
