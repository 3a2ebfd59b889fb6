//! What the test kernels have in common and no family tells anything by: firmware calls, console, CSRs.

#![no_std]

use core::arch::asm;
use core::fmt::{self, Write};

const SET_TIMER: usize = 0;
const PUT_CHARACTER: usize = 1;
const SHUT_DOWN: usize = 8;

fn call(extension: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the firmware changes a0 and a1 only, and touches none of our memory.
    unsafe {
        asm!("ecall", inlateout("a0") argument => result, lateout("a1") _, in("a6") 0, in("a7") extension);
    }
    result
}

/// The next timer interrupt, so many ticks from now.
pub fn timer_in(ticks: usize) {
    call(SET_TIMER, now() + ticks);
}

/// Ticks of the machine's clock, ten to a microsecond.
pub fn now() -> usize {
    let time;
    // SAFETY: reads a counter.
    unsafe { asm!("rdtime {}", out(reg) time) };
    time
}

/// Ends the machine.
pub fn shut_down() -> ! {
    call(SHUT_DOWN, 0);
    loop {
        core::hint::spin_loop();
    }
}

/// Where `print` goes: the firmware's console.
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| {
            call(PUT_CHARACTER, byte as usize);
        });
        Ok(())
    }
}

pub fn print(words: fmt::Arguments) {
    let _ = Console.write_fmt(words);
}

#[macro_export]
macro_rules! println {
    ($($words:tt)*) => { $crate::print(format_args!("{}\n", format_args!($($words)*))) };
}

#[macro_export]
macro_rules! read_csr {
    ($name:literal) => {{
        let value: usize;
        // SAFETY: reading it has no effect.
        unsafe { core::arch::asm!(concat!("csrr {}, ", $name), out(reg) value) };
        value
    }};
}

#[macro_export]
macro_rules! write_csr {
    ($name:literal, $value:expr) => {{
        let value: usize = $value;
        // SAFETY: whoever writes it knows what follows.
        unsafe { core::arch::asm!(concat!("csrw ", $name, ", {}"), in(reg) value) };
    }};
}

/// Called after the kernel has told on its console what it holds: the place for a test to stop and look.
#[no_mangle]
#[inline(never)]
pub extern "C" fn accounted(number: usize) {
    core::hint::black_box(number);
}
