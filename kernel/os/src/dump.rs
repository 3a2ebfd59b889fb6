//! The kernel's own account of itself, as a witness for a debugger's decoders.
//!
//! With the boot argument `dump=TICK` the handler of that timer interrupt prints, after it has counted the
//! tick and before it changes anything else:
//!
//! ```text
//! [dump] begin tick=20
//! [dump] current id=3 stack=0x1102000-0x1182000
//! [dump] trap sepc=0x... sstatus=0x... x=0x0,0x...,...
//! [dump] ready position=0 id=1 sleeping=false dead=false stack=0x1000000-0x1080000
//! [dump] parked id=1 sepc=0x... sstatus=0x... x=0x0,0x...,...
//! [dump] sleeping id=2 sleeping=true dead=false stack=0x1081000-0x1101000
//! [dump] parked id=2 ...
//! [dump] free start=0x80a2d end=0x88000
//! [dump] frames total=29139 used=1117
//! [dump] satp=0x80000000000809e3
//! [dump] end
//! ```
//!
//! `current` is the thread that the tick interrupted, and `trap` its registers. `ready` lists the scheduler's
//! queue, next to run first; `sleeping` is in no order. After each of these comes `parked` with the
//! saved registers, 32 values of x. `free` gives the maximal intervals of free frame numbers, ascending, the
//! end exclusive, the same for every allocator. Nothing here allocates.

use crate::boot;
use crate::interrupt::Context;
use crate::memory::FRAME_ALLOCATOR;
use crate::process::{Thread, PROCESSOR};
use algorithm::Scheduler;
use riscv::register::satp;
use spin::Once;

/// Whether the boot arguments ask for a dump at `tick`.
pub fn is_due(tick: usize) -> bool {
    static WHEN: Once<Option<usize>> = Once::new();
    *WHEN.call_once(|| boot::optional_number("dump")) == Some(tick)
}

/// Prints the state; `context` is what the tick interrupted.
pub fn print(tick: usize, context: &Context) {
    println!("[dump] begin tick={}", tick);
    {
        let processor = PROCESSOR.lock();
        if let Some(thread) = processor.current_thread() {
            println!("[dump] current id={} stack={:?}", thread.id, thread.stack);
        }
        println!("[dump] trap {:?}", context);
        processor
            .scheduler()
            .for_each_ready(&mut |position, thread| {
                print!("[dump] ready position={} ", position);
                print_waiting(thread);
            });
        for thread in processor.sleeping_threads() {
            print!("[dump] sleeping ");
            print_waiting(thread);
        }
    }
    {
        let frames = FRAME_ALLOCATOR.lock();
        for interval in frames.free_intervals() {
            println!(
                "[dump] free start={:#x} end={:#x}",
                interval.start.0, interval.end.0
            );
        }
        println!(
            "[dump] frames total={} used={}",
            frames.total_frames(),
            frames.used_frames()
        );
    }
    println!("[dump] satp={:#x}", satp::read().bits());
    println!("[dump] end");
}

fn print_waiting(thread: &Thread) {
    let inner = thread.inner();
    println!(
        "id={} sleeping={} dead={} stack={:?}",
        thread.id, inner.sleeping, inner.dead, thread.stack
    );
    if let Some(context) = &inner.context {
        println!("[dump] parked id={} {:?}", thread.id, context);
    }
}
