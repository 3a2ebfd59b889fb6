//! What a thread in U-mode may ask for, by `ecall`: the number in a7, arguments in a0 to a2, the result in a0.

use crate::config::PAGE_SIZE;
use crate::interrupt::{timer, Context};
use crate::memory::mapping::Flags;
use crate::memory::{Range, VirtualAddress, VirtualPageNumber};
use crate::process::{Process, PROCESSOR};
use crate::sbi::console_putchar;
use core::sync::atomic::{AtomicUsize, Ordering};

/// `write(1, address, length)` puts bytes on the console and returns how many.
pub const WRITE: usize = 64;
/// `exit(status)` ends the thread.
pub const EXIT: usize = 93;
/// `ticks()` returns how many timer interrupts there were.
pub const TICKS: usize = 1000;

/// The result of a call that was refused: -1.
const REFUSED: usize = usize::MAX;

/// The most bytes of one write, which is not interrupted.
const MAX_WRITE: usize = PAGE_SIZE;

const CONSOLE: usize = 1;

/// An `ecall` is never compressed.
const ECALL_LENGTH: usize = 4;

static SUCCESSFUL_EXITS: AtomicUsize = AtomicUsize::new(0);

/// How many threads said `exit(0)`.
pub fn successful_exits() -> usize {
    SUCCESSFUL_EXITS.load(Ordering::Relaxed)
}

/// Does what the running thread asks for; returns the Context to resume.
pub fn handle(context: *mut Context) -> *mut Context {
    // SAFETY: the Context that __interrupt has written; the reference ends before another takes its place.
    let registers = unsafe { &mut *context };
    let [a0, a1, a2] = [registers.x[10], registers.x[11], registers.x[12]];
    registers.sepc += ECALL_LENGTH;
    registers.x[10] = match registers.x[17] {
        WRITE if a0 == CONSOLE => {
            let thread = PROCESSOR.lock().current_thread().cloned();
            thread.map_or(REFUSED, |thread| write(&thread.process, a1, a2))
        }
        EXIT => return exit(a0),
        TICKS => timer::ticks(),
        _ => REFUSED,
    };
    context
}

/// The bytes must be such that U-mode itself could read them.
fn write(process: &Process, address: usize, length: usize) -> usize {
    let Some(end) = address.checked_add(length) else {
        return REFUSED;
    };
    let pages = Range {
        start: VirtualPageNumber::floor(VirtualAddress(address)),
        end: VirtualPageNumber::ceil(VirtualAddress(end)),
    };
    let inner = process.inner();
    let mapping = &inner.memory_set.mapping;
    let readable = |page: VirtualPageNumber| {
        mapping
            .flags(page.into())
            .is_some_and(|flags| flags.contains(Flags::USER | Flags::READABLE))
    };
    if length > MAX_WRITE || !pages.iter().all(readable) {
        return REFUSED;
    }
    for byte in address..end {
        if let Some(physical) = mapping.lookup(VirtualAddress(byte)) {
            let linear = VirtualAddress::from(physical).0 as *const u8;
            // SAFETY: the page is mapped, so its frame is in the linear map.
            console_putchar(unsafe { linear.read_volatile() } as usize);
        }
    }
    length
}

fn exit(status: usize) -> *mut Context {
    let mut processor = PROCESSOR.lock();
    let thread = processor.current_thread().map(|thread| thread.id);
    println!(
        "thread {} exits from U-mode with status {}",
        thread.expect("a thread runs"),
        status
    );
    if status == 0 {
        SUCCESSFUL_EXITS.fetch_add(1, Ordering::Relaxed);
    }
    processor.kill_current_thread();
    processor.prepare_next_thread()
}
