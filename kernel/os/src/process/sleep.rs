//! Threads that sleep, until someone or the clock wakes them.

use super::processor::{Processor, PROCESSOR};
use super::thread::{give_hart_away, Thread};
use crate::interrupt::timer;
use crate::lock::Lock;
use crate::mask::MaskedInterrupts;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Who wants to be woken at which tick.
static ALARMS: Lock<Vec<(usize, Arc<Thread>)>> = Lock::new(Vec::new());

/// Puts the running thread to sleep until someone wakes it. `register` is told the thread, before it sleeps and
/// with interrupts off, so that no wake can be missed.
pub fn sleep_current_thread(register: impl FnOnce(Arc<Thread>)) {
    let _masked = MaskedInterrupts::new();
    let thread = PROCESSOR.lock().mark_current_thread_sleeping();
    register(thread);
    give_hart_away();
}

/// Puts the running thread to sleep until the timer's interrupt number `tick`.
pub fn sleep_until(tick: usize) {
    let _masked = MaskedInterrupts::new();
    if timer::ticks() < tick {
        sleep_current_thread(|thread| ALARMS.lock().push((tick, thread)));
    }
}

/// Wakes all threads that sleep until `tick` or earlier, the earliest first; for the timer's handler.
pub fn wake_due(processor: &mut Processor, tick: usize) {
    let mut alarms = ALARMS.lock();
    while let Some(index) = (0..alarms.len())
        .filter(|&index| alarms[index].0 <= tick)
        .min_by_key(|&index| alarms[index].0)
    {
        let (_, thread) = alarms.remove(index);
        processor.wake_thread(&thread);
    }
}
