//! `fault`: threads that may not go on are killed, the others are not harmed.
//!
//! With `where=boot`, `where=lock` or `where=handler` the fault happens where there is no thread to kill, or none that
//! can be killed, and the machine shuts down with failure.

use super::Scenario;
use crate::boot;
use crate::config::DEFAULT_PRIORITY;
use crate::process::{create_kernel_thread, sleep_until, KERNEL_PROCESS, PROCESSOR};
use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};

pub const SCENARIO: Scenario = Scenario {
    name: "fault",
    prepare,
    on_tick,
    finish,
};

/// An address that nothing is mapped at.
const NOWHERE: usize = 0x6000_0000;

/// A constant: in .rodata, which is not writable.
static CONSTANT: usize = 42;

/// Threads that came to their end.
static SURVIVORS: AtomicUsize = AtomicUsize::new(0);

fn prepare() {
    match boot::argument("where").unwrap_or("thread") {
        "boot" => load(NOWHERE),
        "lock" => {
            let _processor = PROCESSOR.lock();
            load(NOWHERE);
        }
        "thread" | "handler" => {}
        other => boot::refuse(format_args!(
            "boot argument where={}: known: thread boot lock handler",
            other
        )),
    }
    let threads: [extern "C" fn(); 6] = [
        load_nothing,
        store_constant,
        execute_data,
        overflow_stack,
        illegal_instruction,
        survivor,
    ];
    let mut processor = PROCESSOR.lock();
    for function in threads {
        processor.add_thread(create_kernel_thread(
            KERNEL_PROCESS.clone(),
            function as *const () as usize,
            None,
            DEFAULT_PRIORITY,
        ));
    }
}

fn load(address: usize) {
    // SAFETY: this is not safe, and that is the purpose: nothing is mapped there, and the hart traps.
    unsafe { asm!("ld zero, 0({})", in(reg) address) };
}

fn store(address: usize) {
    // SAFETY: this is not safe, and that is the purpose: the hart traps before it writes.
    unsafe { asm!("sd zero, 0({})", in(reg) address) };
}

extern "C" fn load_nothing() {
    load(NOWHERE);
    survived();
}

extern "C" fn store_constant() {
    store(&CONSTANT as *const usize as usize);
    survived();
}

extern "C" fn execute_data() {
    // SAFETY: this is not safe, and that is the purpose: the hart traps at the first instruction.
    unsafe { asm!("jalr {}", in(reg) &SURVIVORS, clobber_abi("C")) };
    survived();
}

extern "C" fn overflow_stack() {
    let bottom = {
        let processor = PROCESSOR.lock();
        let thread = processor.current_thread().expect("a thread runs");
        thread.stack.start.0
    };
    store(bottom - 8);
    survived();
}

extern "C" fn illegal_instruction() {
    // SAFETY: the hart traps and does nothing else.
    unsafe { asm!("unimp") };
    survived();
}

/// Runs on while the others are killed.
extern "C" fn survivor() {
    sleep_until(2);
    println!("the other thread goes on");
    survived();
}

fn survived() {
    SURVIVORS.fetch_add(1, Ordering::Relaxed);
}

fn on_tick(_tick: usize) {
    if boot::argument("where") == Some("handler") {
        load(NOWHERE);
    }
}

fn finish() {
    assert_eq!(SURVIVORS.load(Ordering::Relaxed), 1);
}
