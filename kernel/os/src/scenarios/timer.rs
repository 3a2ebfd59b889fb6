//! `timer`: `ticks=` (10) timer interrupts, each with its time, while one thread sleeps and the idle one runs.

use super::Scenario;
use crate::boot;
use crate::config::DEFAULT_PRIORITY;
use crate::interrupt::timer;
use crate::process::{create_kernel_thread, sleep_until, KERNEL_PROCESS, PROCESSOR};
use core::sync::atomic::{AtomicUsize, Ordering};
use riscv::register::time;

pub const SCENARIO: Scenario = Scenario {
    name: "timer",
    prepare,
    on_tick,
    finish,
};

/// No tick may come before this time.
static NOT_BEFORE: AtomicUsize = AtomicUsize::new(0);

fn last_tick() -> usize {
    boot::positive("ticks", 10)
}

fn prepare() {
    println!("interval {}", timer::interval());
    // The clock starts later than now.
    NOT_BEFORE.store(time::read() + timer::interval(), Ordering::Relaxed);
    PROCESSOR.lock().add_thread(create_kernel_thread(
        KERNEL_PROCESS.clone(),
        waiting_process as *const () as usize,
        None,
        DEFAULT_PRIORITY,
    ));
}

extern "C" fn waiting_process() {
    sleep_until(last_tick());
}

fn on_tick(tick: usize) {
    let now = time::read();
    println!("tick {} at time {}", tick, now);
    // It is armed again already.
    let not_before = NOT_BEFORE.swap(timer::next_timeout(), Ordering::Relaxed);
    assert!(
        now >= not_before,
        "the tick came at {}, before {}",
        now,
        not_before
    );
}

fn finish() {
    assert_eq!(timer::ticks(), last_tick());
}
