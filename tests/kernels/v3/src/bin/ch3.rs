//! Multiprogramming without paging: tasks in an array, the trap frame on the task's kernel stack.

#![no_std]
#![no_main]

#[path = "../account.rs"]
mod account;
#[path = "../apps.rs"]
mod apps;
#[path = "../boot.rs"]
mod boot;
#[path = "../config.rs"]
#[allow(dead_code)]
mod config;
#[path = "../ch3/loader.rs"]
mod loader;
#[path = "../sstatus.rs"]
mod sstatus;
#[path = "../switch.rs"]
mod switch;
#[path = "../sync.rs"]
mod sync;
#[path = "../ch3/syscall.rs"]
mod syscall;
#[path = "../ch3/task.rs"]
mod task;
#[path = "../trap/low.rs"]
mod trap;

#[no_mangle]
extern "C" fn rust_main() -> ! {
    boot::clear_bss();
    loader::load_apps();
    trap::init();
    task::run_first_task()
}
