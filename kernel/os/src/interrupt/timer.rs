//! The clock: a supervisor timer interrupt every [`interval`] ticks of the timebase.

use crate::boot;
use crate::sbi::set_timer;
use core::ptr::addr_of_mut;
use core::sync::atomic::{AtomicUsize, Ordering};
use riscv::register::{sie, time};
use spin::Once;

/// Ticks of the timebase from one interrupt to the next, unless the boot arguments say `interval=`:
/// 0.1 s of QEMU's 10 MHz.
pub static INTERVAL: usize = 1_000_000;

/// How many timer interrupts there were.
pub static mut TICKS: usize = 0;

/// The time that the last call of [`set_next_timeout`] asked for.
static NEXT_TIMEOUT: AtomicUsize = AtomicUsize::new(0);

/// Starts the clock; the first interrupt comes as soon as interrupts are on and an interval has passed.
pub fn init() {
    interval();
    set_next_timeout();
    // SAFETY: the handler is installed, and sstatus.SIE is still off.
    unsafe { sie::set_stimer() };
}

/// Asks for the next interrupt, which also takes the present one back.
#[inline(never)] // a place to trace, also in a release build
pub fn set_next_timeout() {
    let timeout = time::read().saturating_add(interval());
    NEXT_TIMEOUT.store(timeout, Ordering::Relaxed);
    set_timer(timeout);
}

/// The time of the next interrupt.
pub fn next_timeout() -> usize {
    NEXT_TIMEOUT.load(Ordering::Relaxed)
}

/// Counts one more interrupt and returns their number; for the handler.
pub fn tick() -> usize {
    // SAFETY: there is one hart, and the handler, with interrupts off, is the only writer.
    unsafe {
        let ticks = addr_of_mut!(TICKS);
        *ticks += 1;
        *ticks
    }
}

/// How many timer interrupts there were.
pub fn ticks() -> usize {
    // SAFETY: a read of one aligned word, which the handler may change before or after, not in the middle.
    unsafe { addr_of_mut!(TICKS).read_volatile() }
}

/// Ticks of the timebase from one interrupt to the next.
pub fn interval() -> usize {
    static CHOSEN: Once<usize> = Once::new();
    *CHOSEN.call_once(|| boot::positive("interval", INTERVAL))
}
