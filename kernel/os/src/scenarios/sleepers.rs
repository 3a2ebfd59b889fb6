//! `sleepers`: threads (`threads=`, 3) that the clock wakes in the reverse order, and one that waits for another.

use super::{no_tick, Scenario};
use crate::boot;
use crate::config::DEFAULT_PRIORITY;
use crate::interrupt::timer;
use crate::lock::Lock;
use crate::process::{
    create_kernel_thread, sleep_until, Condvar, ThreadID, KERNEL_PROCESS, PROCESSOR,
};
use alloc::vec::Vec;

pub const SCENARIO: Scenario = Scenario {
    name: "sleepers",
    prepare,
    on_tick: no_tick,
    finish,
};

/// What the waiter waits for.
static NEWS: Condvar = Condvar::new();

/// Who woke, in this order.
static WOKEN: Lock<Vec<ThreadID>> = Lock::new(Vec::new());

fn count() -> usize {
    boot::positive("threads", 3)
}

/// When sleeper `id` of `count()` wants to be woken: the last one first, two ticks apart.
fn alarm(id: ThreadID) -> usize {
    2 * (count() + 1 - id)
}

fn prepare() {
    let create = |function: *const (), id: ThreadID| {
        let thread = create_kernel_thread(
            KERNEL_PROCESS.clone(),
            function as usize,
            Some(&[id]),
            DEFAULT_PRIORITY,
        );
        assert_eq!(thread.id, id);
        PROCESSOR.lock().add_thread(thread);
    };
    for id in 1..count() + 1 {
        create(sleeper as *const (), id);
    }
    create(waiter as *const (), count() + 1);
    create(notifier as *const (), count() + 2);
}

fn woke(id: ThreadID) {
    WOKEN.lock().push(id);
    println!("thread {} woke at tick {}", id, timer::ticks());
}

extern "C" fn sleeper(id: ThreadID) {
    println!("thread {} sleeps until tick {}", id, alarm(id));
    sleep_until(alarm(id));
    assert!(timer::ticks() >= alarm(id));
    woke(id);
}

extern "C" fn waiter(id: ThreadID) {
    println!("thread {} waits for news", id);
    NEWS.wait();
    woke(id);
}

extern "C" fn notifier(id: ThreadID) {
    // The first sleeper is the last one to wake; the news comes after that.
    let tick = alarm(1) + 1;
    println!("thread {} sleeps until tick {}", id, tick);
    sleep_until(tick);
    woke(id);
    let waiter = NEWS.notify_one();
    println!("thread {} notified thread {:?}", id, waiter);
    assert_eq!(waiter, Some(id - 1));
    assert_eq!(NEWS.notify_one(), None);
}

fn finish() {
    let count = count();
    let woken = WOKEN.lock();
    println!("woken in the order {:?}", *woken);
    let mut expected: Vec<ThreadID> = (1..count + 1).rev().collect();
    expected.extend([count + 2, count + 1]);
    assert_eq!(*woken, expected);
}
