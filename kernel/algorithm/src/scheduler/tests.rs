//! What both schedulers promise, and what only one does.

use super::*;
use alloc::vec;
use alloc::vec::Vec;

fn ready<S: Scheduler<u32>>(scheduler: &S) -> Vec<u32> {
    let mut all = Vec::new();
    scheduler.for_each_ready(&mut |position, thread| {
        assert_eq!(position, all.len());
        all.push(*thread);
    });
    all
}

/// Lets the threads run in slices, as the timer does, and counts the slices of each of 1..=threads.
fn slices<S: Scheduler<u32>>(scheduler: &mut S, threads: u32, rounds: usize) -> Vec<usize> {
    let mut counts = vec![0; threads as usize];
    for _ in 0..rounds {
        let thread = scheduler.get_next().expect("somebody is ready");
        counts[thread as usize - 1] += 1;
        scheduler.add_thread(thread);
    }
    counts
}

fn equals_run_in_turn<S: Scheduler<u32>>() {
    let mut scheduler = S::default();
    for thread in 1..=3 {
        scheduler.set_priority(thread, 1);
        scheduler.add_thread(thread);
    }
    assert_eq!(ready(&scheduler), [1, 2, 3]);
    for expected in [1, 2, 3, 1, 2, 3, 1] {
        let first = ready(&scheduler)[0];
        let thread = scheduler.get_next().unwrap();
        assert_eq!((thread, first), (expected, expected));
        scheduler.add_thread(thread);
    }
}

fn the_running_thread_is_not_ready<S: Scheduler<u32>>() {
    let mut scheduler = S::default();
    assert_eq!(scheduler.get_next(), None);
    scheduler.add_thread(1);
    scheduler.add_thread(2);
    assert_eq!(scheduler.get_next(), Some(1));
    assert_eq!(ready(&scheduler), [2]);
    assert_eq!(scheduler.get_next(), Some(2));
    assert_eq!(scheduler.get_next(), None);
}

fn a_removed_thread_does_not_run<S: Scheduler<u32>>() {
    let mut scheduler = S::default();
    for thread in 1..=4 {
        scheduler.add_thread(thread);
    }
    scheduler.remove_thread(&2);
    scheduler.remove_thread(&9);
    assert_eq!(ready(&scheduler), [1, 3, 4]);
    assert_eq!(slices(&mut scheduler, 4, 30), [10, 0, 10, 10]);
}

#[test]
fn fifo_equals_run_in_turn() {
    equals_run_in_turn::<FifoScheduler<u32>>();
}

#[test]
fn priority_equals_run_in_turn() {
    equals_run_in_turn::<PriorityScheduler<u32>>();
}

#[test]
fn fifo_the_running_thread_is_not_ready() {
    the_running_thread_is_not_ready::<FifoScheduler<u32>>();
}

#[test]
fn priority_the_running_thread_is_not_ready() {
    the_running_thread_is_not_ready::<PriorityScheduler<u32>>();
}

#[test]
fn fifo_a_removed_thread_does_not_run() {
    a_removed_thread_does_not_run::<FifoScheduler<u32>>();
}

#[test]
fn priority_a_removed_thread_does_not_run() {
    a_removed_thread_does_not_run::<PriorityScheduler<u32>>();
}

#[test]
fn fifo_ignores_priorities() {
    let mut scheduler = FifoScheduler::default();
    for thread in 1..=3 {
        scheduler.set_priority(thread, thread as usize);
        scheduler.add_thread(thread);
    }
    assert_eq!(slices(&mut scheduler, 3, 60), [20, 20, 20]);
}

#[test]
fn priority_gives_shares_in_proportion() {
    let mut scheduler = PriorityScheduler::default();
    for thread in 1..=3 {
        scheduler.set_priority(thread, thread as usize);
        scheduler.add_thread(thread);
    }
    let counts = slices(&mut scheduler, 3, 600);
    for (count, expected) in counts.iter().zip([100usize, 200, 300]) {
        assert!(count.abs_diff(expected) <= 1, "{counts:?}");
    }
}

#[test]
fn priority_can_change() {
    let mut scheduler = PriorityScheduler::default();
    scheduler.add_thread(1);
    scheduler.add_thread(2);
    slices(&mut scheduler, 2, 100);
    scheduler.set_priority(2, 4);
    let counts = slices(&mut scheduler, 2, 100);
    assert!(
        counts[0].abs_diff(20) <= 1 && counts[1].abs_diff(80) <= 1,
        "{counts:?}"
    );
}

#[test]
fn priority_does_not_save_up_sleep() {
    let mut scheduler = PriorityScheduler::default();
    scheduler.add_thread(1);
    scheduler.add_thread(2);
    let sleeper = scheduler.get_next().unwrap();
    slices(&mut scheduler, 2, 50);
    scheduler.add_thread(sleeper);
    assert_eq!(slices(&mut scheduler, 2, 20), [10, 10]);
}

#[test]
fn priority_takes_any_number() {
    let mut scheduler = PriorityScheduler::default();
    scheduler.set_priority(1, 0);
    scheduler.set_priority(2, usize::MAX);
    scheduler.add_thread(1);
    scheduler.add_thread(2);
    assert_eq!(scheduler.get_next(), Some(1));
    assert_eq!(scheduler.get_next(), Some(2));
}
