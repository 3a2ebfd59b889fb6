//! The first instructions, and what every kernel of these needs before it can do anything.

use core::arch::global_asm;
use core::panic::PanicInfo;

global_asm!(
    ".section .text.entry",
    ".globl _start",
    "_start:",
    "la sp, boot_stack_top",
    "call rust_main",
    ".section .bss.stack",
    ".globl boot_stack",
    "boot_stack:",
    ".space 0x10000",
    ".globl boot_stack_top",
    "boot_stack_top:",
);

/// Zeroes what the ELF has no bytes for.
pub fn clear_bss() {
    extern "C" {
        fn sbss();
        fn ebss();
    }
    let (start, end) = (sbss as *const () as usize, ebss as *const () as usize);
    for address in (start..end).step_by(8) {
        // SAFETY: nobody has used these sections yet, but for the stack, which lies before them.
        unsafe { (address as *mut u64).write_volatile(0) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    bare::println!("PANIC {info}");
    bare::shut_down()
}
