//! What to do about a trap.
//!
//! The handler runs on the kernel stack with interrupts off, and returns the Context to resume: the one it
//! was given, or that of another thread, which then lies at the same place.

use crate::interrupt::{timer, Context, KERNEL_STACK};
use crate::process::{self, PROCESSOR};
use crate::{dump, sbi, syscall};
use core::mem::size_of;
use riscv::interrupt::{Exception, Interrupt, Trap};
use riscv::register::scause::Scause;
use riscv::register::sstatus;

/// Called by `__interrupt`, with the registers of whatever was interrupted.
///
/// `context` is a plain pointer, not a `&mut`: while the handler still has it, the Context of the next thread may
/// take that place.
#[no_mangle]
pub extern "C" fn handle_interrupt(
    context: *mut Context,
    scause: Scause,
    stval: usize,
) -> *mut Context {
    if context as usize != KERNEL_STACK.top() - size_of::<Context>() {
        // SAFETY: __interrupt has just written a Context there.
        let sepc = unsafe { (*context).sepc };
        println!(
            "fault in the trap handler: {}, stval={:#x}, sepc={:#x}",
            cause_name(scause),
            stval,
            sepc
        );
        sbi::shutdown_failure();
    }
    match scause.cause().try_into() {
        Ok(Trap::Exception(Exception::Breakpoint)) => breakpoint(context),
        Ok(Trap::Interrupt(Interrupt::SupervisorTimer)) => supervisor_timer(context),
        Ok(Trap::Exception(Exception::UserEnvCall)) => syscall::handle(context),
        _ => fault(context, scause, stval),
    }
}

/// An `ebreak`: steps over it. A thread that has just gone to sleep or died uses it to give the hart away.
fn breakpoint(context: *mut Context) -> *mut Context {
    // SAFETY: the Context that __interrupt has written; nothing else refers to it.
    let address = unsafe {
        let address = (*context).sepc;
        (*context).sepc = address + instruction_length(address);
        address
    };
    let mut processor = PROCESSOR.lock();
    if processor.current_thread_has_left() {
        // SAFETY: as above; the reference ends before the next thread's Context takes the place.
        processor.park_current_thread(unsafe { &*context });
        return processor.prepare_next_thread();
    }
    println!("Breakpoint at {:#x}", address);
    context
}

/// The timer: the running thread goes to the end of the queue.
fn supervisor_timer(context: *mut Context) -> *mut Context {
    let tick = timer::tick();
    // SAFETY: the Context that __interrupt has written; this copy is what the thread is parked with.
    let interrupted = unsafe { *context };
    if dump::is_due(tick) {
        dump::print(tick, &interrupted);
    }
    timer::set_next_timeout();
    (process::hooks().on_tick)(tick);
    let mut processor = PROCESSOR.lock();
    process::wake_due(&mut processor, tick);
    processor.park_current_thread(&interrupted);
    processor.prepare_next_thread()
}

/// Anything else: the thread cannot go on.
fn fault(context: *mut Context, scause: Scause, stval: usize) -> *mut Context {
    // SAFETY: the Context that __interrupt has written; nothing else refers to it.
    let sepc = unsafe { (*context).sepc };
    println!(
        "fault: {} (scause {:#x}), stval={:#x}, sepc={:#x}",
        cause_name(scause),
        scause.bits(),
        stval,
        sepc
    );
    // On one hart, a lock that is taken now was taken by the code that faulted, and nobody will release it.
    let Some(mut processor) = PROCESSOR.try_lock() else {
        println!("the processor was locked: shutting down");
        sbi::shutdown_failure();
    };
    match processor.current_thread() {
        Some(thread) if !process::is_idle(thread) => println!("thread {} killed", thread.id),
        _ => {
            println!("no thread to kill: shutting down");
            sbi::shutdown_failure();
        }
    }
    processor.kill_current_thread();
    processor.prepare_next_thread()
}

/// The length of the instruction at `address`, in bytes: its lowest two bits are 11 unless it is compressed.
fn instruction_length(address: usize) -> usize {
    // SAFETY: the hart has just fetched the instruction from there, and all code is readable. SUM lets the kernel
    // read that of U-mode; __restore puts sstatus back.
    let low = unsafe {
        sstatus::set_sum();
        (address as *const u16).read_volatile()
    };
    if low & 0b11 == 0b11 {
        4
    } else {
        2
    }
}

/// The cause in words (RISC-V privileged specification, table of scause values).
fn cause_name(scause: Scause) -> &'static str {
    match scause.cause().try_into() {
        Ok(Trap::Exception(exception)) => match exception {
            Exception::InstructionMisaligned => "instruction address misaligned",
            Exception::InstructionFault => "instruction access fault",
            Exception::IllegalInstruction => "illegal instruction",
            Exception::Breakpoint => "breakpoint",
            Exception::LoadMisaligned => "load address misaligned",
            Exception::LoadFault => "load access fault",
            Exception::StoreMisaligned => "store address misaligned",
            Exception::StoreFault => "store access fault",
            Exception::UserEnvCall => "environment call from U-mode",
            Exception::SupervisorEnvCall => "environment call from S-mode",
            Exception::InstructionPageFault => "instruction page fault",
            Exception::LoadPageFault => "load page fault",
            Exception::StorePageFault => "store page fault",
            _ => "exception",
        },
        Ok(Trap::Interrupt(interrupt)) => match interrupt {
            Interrupt::SupervisorSoft => "supervisor software interrupt",
            Interrupt::SupervisorTimer => "supervisor timer interrupt",
            Interrupt::SupervisorExternal => "supervisor external interrupt",
            _ => "interrupt",
        },
        Err(_) => "unknown cause",
    }
}
