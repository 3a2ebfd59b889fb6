//! Processes in a tree, with a thread each: the running one, the ready queue, and zombies among the children.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "../account.rs"]
mod account;
#[path = "../boot.rs"]
mod boot;
#[path = "../config.rs"]
#[allow(dead_code)]
mod config;
#[path = "../heap.rs"]
mod heap;
#[path = "../ch5/init.rs"]
mod init;
#[path = "../mm/mod.rs"]
#[allow(dead_code)]
mod mm;
#[path = "../sstatus.rs"]
mod sstatus;
#[path = "../switch.rs"]
mod switch;
#[path = "../sync.rs"]
mod sync;
#[path = "../ch5/syscall.rs"]
mod syscall;
#[path = "../ch5/task.rs"]
mod task;
#[path = "../trap/high.rs"]
mod trap;

#[no_mangle]
extern "C" fn rust_main() -> ! {
    boot::clear_bss();
    mm::init();
    trap::init();
    task::add_initproc();
    task::processor::run_tasks()
}
