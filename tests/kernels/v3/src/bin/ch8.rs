//! Processes of several threads, which wait for semaphores, mutexes, conditions, the clock, and each other.

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
#[path = "../ch8/init.rs"]
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
#[path = "../ch8/syscall.rs"]
mod syscall;
#[path = "../ch8/task.rs"]
mod task;
#[path = "../trap/high.rs"]
mod trap;

#[no_mangle]
extern "C" fn rust_main() -> ! {
    boot::clear_bss();
    mm::init();
    trap::init();
    lazy_static::initialize(&task::INITPROC);
    task::processor::run_tasks()
}
