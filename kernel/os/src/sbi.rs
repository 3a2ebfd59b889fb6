//! Calls to the firmware (RISC-V Supervisor Binary Interface).
//!
//! The console and the timer use the legacy extensions, as the seed does; shutting down prefers the System
//! Reset extension, which can tell success from failure.

use crate::config::{KERNEL_MAP_OFFSET, SIFIVE_TEST_ADDRESS};
use core::arch::asm;
use riscv::register::time;

const SBI_SET_TIMER: usize = 0;
const SBI_CONSOLE_PUTCHAR: usize = 1;
const SBI_CONSOLE_GETCHAR: usize = 2;
const SBI_SHUTDOWN: usize = 8;

const SBI_EXTENSION_BASE: usize = 0x10;
const SBI_BASE_PROBE_EXTENSION: usize = 3;
const SBI_EXTENSION_SYSTEM_RESET: usize = 0x5352_5354;
const SBI_RESET_TYPE_SHUTDOWN: usize = 0;
const SBI_RESET_REASON_NONE: usize = 0;
const SBI_RESET_REASON_SYSTEM_FAILURE: usize = 1;

/// "Exit with the status in the upper half", to QEMU's test device.
const SIFIVE_TEST_FAIL: u32 = 0x3333;

/// How long QEMU may take to end after that: one second.
const FAILURE_GRACE_TICKS: usize = 10_000_000;

/// One call: the extension in a7, the function in a6; returns a0 and a1 (error and value; a legacy
/// extension has its value in a0).
#[inline(never)] // a place to trace, also in a release build; so its arguments are all in registers
fn sbi_call(
    extension: usize,
    function: usize,
    argument0: usize,
    argument1: usize,
    argument2: usize,
) -> (usize, usize) {
    let (error, value);
    // SAFETY: an ecall from S-mode goes to the firmware, which changes a0 and a1 only; none of the calls
    // in this module makes it touch the kernel's memory.
    unsafe {
        asm!(
            "ecall",
            inlateout("a0") argument0 => error,
            inlateout("a1") argument1 => value,
            in("a2") argument2,
            in("a6") function,
            in("a7") extension,
        );
    }
    (error, value)
}

/// Puts one byte on the console.
#[inline(never)] // a place to trace, also in a release build
pub fn console_putchar(byte: usize) {
    sbi_call(SBI_CONSOLE_PUTCHAR, 0, byte, 0, 0);
}

/// Takes one byte from the console; `usize::MAX` when there is none.
pub fn console_getchar() -> usize {
    sbi_call(SBI_CONSOLE_GETCHAR, 0, 0, 0, 0).0
}

/// Asks for a timer interrupt at `time` (ticks of the timebase), and clears a pending one.
#[inline(never)] // a place to trace, also in a release build
pub fn set_timer(time: usize) {
    sbi_call(SBI_SET_TIMER, 0, time, 0, 0);
}

/// Ends the machine with success.
pub fn shutdown() -> ! {
    system_reset(SBI_RESET_REASON_NONE);
    sbi_call(SBI_SHUTDOWN, 0, 0, 0, 0);
    halt()
}

/// Ends the machine with a failure that QEMU's exit status shows.
///
/// OpenSBI 1.1 passes a failing reset on to QEMU's test device without a status, and QEMU then exits with 0:
/// so the kernel writes to that device itself, and asks the firmware only if this did not help.
#[inline(never)] // one place to stop at, also in a release build
pub fn shutdown_failure() -> ! {
    let device = (SIFIVE_TEST_ADDRESS + KERNEL_MAP_OFFSET) as *mut u32;
    // SAFETY: the device's page is mapped at KERNEL_MAP_OFFSET from the first instruction after paging on
    // (boot_page_table) and by the kernel's own MemorySet; a write there has no effect but to end QEMU.
    unsafe { device.write_volatile(SIFIVE_TEST_FAIL | 1 << 16) };
    // Newer QEMUs end a moment later. A reset in that moment would turn the failure into a success.
    let end = time::read() + FAILURE_GRACE_TICKS;
    while time::read() < end {
        core::hint::spin_loop();
    }
    system_reset(SBI_RESET_REASON_SYSTEM_FAILURE);
    sbi_call(SBI_SHUTDOWN, 0, 0, 0, 0);
    halt()
}

/// Shuts down through the System Reset extension, if the firmware has it.
fn system_reset(reason: usize) {
    let (error, present) = sbi_call(
        SBI_EXTENSION_BASE,
        SBI_BASE_PROBE_EXTENSION,
        SBI_EXTENSION_SYSTEM_RESET,
        0,
        0,
    );
    if error == 0 && present != 0 {
        sbi_call(
            SBI_EXTENSION_SYSTEM_RESET,
            0,
            SBI_RESET_TYPE_SHUTDOWN,
            reason,
            0,
        );
    }
}

fn halt() -> ! {
    loop {
        riscv::asm::wfi();
    }
}
