//! Address spaces: tasks in a Vec, the trap frame in a page of each task behind the trampoline.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "../account.rs"]
mod account;
#[path = "../apps.rs"]
mod apps;
#[path = "../boot.rs"]
mod boot;
#[path = "../config.rs"]
#[allow(dead_code)]
mod config;
#[path = "../heap.rs"]
mod heap;
#[path = "../mm/mod.rs"]
#[allow(dead_code)]
mod mm;
#[path = "../sstatus.rs"]
mod sstatus;
#[path = "../switch.rs"]
mod switch;
#[path = "../sync.rs"]
mod sync;
#[path = "../ch3/syscall.rs"]
mod syscall;
#[path = "../ch4/task.rs"]
mod task;
#[path = "../trap/high.rs"]
mod trap;

#[no_mangle]
extern "C" fn rust_main() -> ! {
    boot::clear_bss();
    mm::init();
    trap::init();
    task::run_first_task()
}
