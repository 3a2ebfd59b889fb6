//! What happens when the kernel gives up.

use crate::{mask, sbi};
use core::panic::PanicInfo;

/// Prints file, line and message, as Rust programs do, and ends QEMU with a failing status.
#[panic_handler]
fn panic_handler(info: &PanicInfo) -> ! {
    mask::disable();
    println!("{}", info);
    sbi::shutdown_failure()
}
