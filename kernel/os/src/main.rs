//! A small teaching kernel in the shape of rCore, for QEMU's RISC-V `virt` machine.
//!
//! The firmware (OpenSBI) enters at `_start` in `entry.asm`, which turns paging on and calls [`rust_main`].
//! What the kernel then does is a *scenario*, chosen by the boot arguments: see [`scenarios`].

#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate alloc;

#[macro_use]
mod console;
mod boot;
mod config;
mod dump;
mod handler;
mod interrupt;
mod lock;
mod mask;
mod memory;
mod panic;
mod process;
mod sbi;
mod scenarios;
mod syscall;

core::arch::global_asm!(include_str!("entry.asm"));

/// The first Rust code: paging is on (`boot_page_table`), interrupts are off, the stack is `boot_stack`.
///
/// `hart_id` and `device_tree`, a physical address, are what the firmware passes on.
#[no_mangle]
pub extern "C" fn rust_main(hart_id: usize, device_tree: usize) -> ! {
    interrupt::init();
    boot::init(device_tree);
    println!("os {} on hart {}", env!("CARGO_PKG_VERSION"), hart_id);
    boot::print_unknown_arguments();
    let scenario = scenarios::chosen();
    println!("scenario {}", scenario.name);

    memory::init();
    process::init();
    scenarios::run(scenario)
}
