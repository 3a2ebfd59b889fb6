//! Threads that take turns, sleep, wait for each other, and hold a mutex meanwhile; then it ends.

#![no_std]
#![no_main]

extern crate axstd as std;

use axtask::WaitQueue;
use core::time::Duration;
use std::{println, sync::Mutex, thread};

const ROUNDS: u64 = 40;

static SHARED: Mutex<u64> = Mutex::new(0);
static DONE: Mutex<u64> = Mutex::new(0);
static TURN: WaitQueue = WaitQueue::new();

/// Sleeps with the mutex in its hands, so that others wait for it.
fn holder() {
    for _ in 0..ROUNDS {
        let mut held = SHARED.lock();
        *held += 1;
        thread::sleep(Duration::from_millis(15));
        drop(held);
        TURN.notify_all(false);
        thread::yield_now();
    }
}

/// Wants the mutex too.
fn taker() {
    for _ in 0..ROUNDS {
        *SHARED.lock() += 1;
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the holder has let go.
fn waiter() {
    while *DONE.lock() < 2 {
        TURN.wait_timeout(Duration::from_millis(40));
    }
}

/// Works for longer than a tick, and gives the hart away by itself alone.
fn worker() {
    let mut found: u64 = 1;
    for round in 0..ROUNDS * 16 {
        for step in 0..20_000 {
            found = found
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step ^ round);
        }
        thread::yield_now();
    }
    println!("worked: {found:#x}");
}

fn spawn(name: &str, run: fn()) -> thread::JoinHandle<()> {
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .expect("there is memory for a thread")
}

#[no_mangle]
fn main() {
    let threads = [
        spawn("holder", holder),
        spawn("taker", taker),
        spawn("worker", worker),
    ];
    let waiting = spawn("waiter", waiter);
    for each in threads {
        each.join().expect("it has not panicked");
        *DONE.lock() += 1;
    }
    TURN.notify_all(false);
    waiting.join().expect("it has not panicked");
    println!("shared: {}", *SHARED.lock());
}
