//! Scenarios: what the kernel does with itself, chosen by the boot arguments.
//!
//! `-append "scenario=NAME key=value ..."` picks one; without it, it is `threads`. Keys for all of them:
//! `interval=` (ticks of the timebase from one timer interrupt to the next) and `dump=` (see [`crate::dump`]).
//!
//! A scenario ends in one of three ways: it checked all that it claims, prints `scenario NAME passed` and
//! shuts down with success; an assertion fails, and the panic shuts down with failure; or, for `preempt`
//! without `ticks=`, never.

mod breakpoint;
mod console;
mod fault;
mod frames;
mod heap;
mod mapping;
mod panic;
mod preempt;
mod processes;
mod registers;
mod sleepers;
mod threads;
mod timer;

use crate::boot;
use crate::memory::FRAME_ALLOCATOR;
use crate::process::{self, Hooks, KERNEL_PROCESS, PROCESSOR};
use crate::sbi;
use algorithm::Scheduler;
use spin::Once;

/// One workload.
pub struct Scenario {
    /// What the boot arguments call it.
    pub name: &'static str,
    /// Runs on the boot stack before any thread; may make threads, which start when it returns.
    prepare: fn(),
    /// Runs in the timer's handler, after the timer is armed again.
    on_tick: fn(usize),
    /// Checks the result when no threads are left.
    finish: fn(),
}

static SCENARIOS: &[Scenario] = &[
    threads::SCENARIO,
    heap::SCENARIO,
    frames::SCENARIO,
    mapping::SCENARIO,
    breakpoint::SCENARIO,
    timer::SCENARIO,
    preempt::SCENARIO,
    registers::SCENARIO,
    processes::SCENARIO,
    sleepers::SCENARIO,
    console::SCENARIO,
    fault::SCENARIO,
    panic::SCENARIO,
];

static CHOSEN: Once<&'static Scenario> = Once::new();

/// What was taken before the scenario: frames, and how many of them are page tables.
static BASELINE: Once<(usize, usize)> = Once::new();

/// For a scenario that has nothing to do there.
fn nothing() {}

/// For a scenario that does not care about the clock.
fn no_tick(_tick: usize) {}

/// The scenario that the boot arguments name; ends the machine if there is no such one.
pub fn chosen() -> &'static Scenario {
    CHOSEN.call_once(|| {
        let name = boot::argument("scenario").unwrap_or("threads");
        SCENARIOS
            .iter()
            .find(|scenario| scenario.name == name)
            .unwrap_or_else(|| {
                print!("unknown scenario \"{}\"; known:", name);
                for scenario in SCENARIOS {
                    print!(" {}", scenario.name);
                }
                println!();
                sbi::shutdown_failure()
            })
    })
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario) -> ! {
    BASELINE.call_once(frames_and_tables);
    (scenario.prepare)();
    let mut threads = 0;
    PROCESSOR
        .lock()
        .scheduler()
        .for_each_ready(&mut |_, _| threads += 1);
    if threads == 0 {
        passed();
    }
    process::start(Hooks {
        on_tick,
        all_threads_finished,
    })
}

/// Tells the scenario that a timer interrupt came.
pub fn on_tick(tick: usize) {
    (chosen().on_tick)(tick);
}

/// Ends the machine when the last thread has ended.
pub fn all_threads_finished() -> ! {
    println!("all threads finished, shutting down");
    (chosen().finish)();
    passed()
}

/// Checks that all frames came back, and ends the machine with success.
pub fn passed() -> ! {
    let &(frames_before, tables_before) = BASELINE.get().expect("a scenario runs");
    let (frames, tables) = frames_and_tables();
    println!(
        "frames: {} taken before, {} after, {} of them new page tables",
        frames_before,
        frames,
        tables - tables_before
    );
    assert_eq!(
        frames - (tables - tables_before),
        frames_before,
        "frames are missing"
    );
    shutdown()
}

/// Ends the machine with success: one place, also in a release build, to look at what is left.
#[inline(never)]
fn shutdown() -> ! {
    println!("scenario {} passed", chosen().name);
    sbi::shutdown()
}

fn frames_and_tables() -> (usize, usize) {
    let tables = KERNEL_PROCESS.inner().memory_set.mapping.table_frames();
    (FRAME_ALLOCATOR.lock().used_frames(), tables)
}
