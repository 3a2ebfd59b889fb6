#![no_std]
#![no_main]

use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

global_asm!(include_str!(concat!(env!("OUT_DIR"), "/program.S")));
global_asm!(
    ".section .text.entry",
    ".globl _start",
    "_start:",
    "la sp, {stack} + 4096",
    "j {main}",
    stack = sym STACK,
    main = sym main,
);

#[repr(C, align(16))]
pub struct Stack([u8; 4096]);

static mut STACK: Stack = Stack([0; 4096]);
static ROUNDS: AtomicUsize = AtomicUsize::new(0);

extern "C" {
    static program: u8;
    static program_end: u8;
}

extern "C" fn main() -> ! {
    loop {
        // SAFETY: both are labels around what was linked in.
        let size = unsafe { (&raw const program_end).offset_from(&raw const program) };
        let round = ROUNDS.fetch_add(size as usize, Ordering::Relaxed);
        reached(round);
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn reached(round: usize) {
    for byte in b"round\n" {
        // SAFETY: the 16550 of QEMU's `virt` machine.
        unsafe { (0x1000_0000 as *mut u8).write_volatile(byte.wrapping_add((round & 0) as u8)) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
