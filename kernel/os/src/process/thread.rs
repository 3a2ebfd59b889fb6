//! Threads.

use super::process::Process;
use super::processor::PROCESSOR;
use crate::interrupt::{Context, KERNEL_STACK};
use crate::lock::LockGuard;
use crate::mask::MaskedInterrupts;
use crate::memory::{MemoryResult, Range, VirtualAddress};
use alloc::sync::Arc;
use core::arch::{asm, global_asm};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Mutex;

/// A thread's number.
pub type ThreadID = usize;

/// The idle thread's number; the others count from 1.
pub const IDLE_THREAD_ID: ThreadID = 0;

static NEXT_THREAD_ID: AtomicUsize = AtomicUsize::new(IDLE_THREAD_ID);

/// A thread.
pub struct Thread {
    /// Its number.
    pub id: ThreadID,
    /// Its stack.
    pub stack: Range<VirtualAddress>,
    /// The process that it belongs to.
    pub process: Arc<Process>,
    /// What the scheduler is told about it.
    pub priority: usize,
    /// What changes; see [`Thread::inner`].
    pub inner: Mutex<ThreadInner>,
}

/// The part of a thread that changes.
pub struct ThreadInner {
    /// The registers while it does not run; `None` while it does.
    pub context: Option<Context>,
    /// Whether it waits for someone to wake it.
    pub sleeping: bool,
    /// Whether it has ended.
    pub dead: bool,
}

impl Thread {
    /// A thread that will start at `entry_point` with `arguments` in a0, a1, ...
    pub fn new(
        process: Arc<Process>,
        entry_point: usize,
        arguments: Option<&[usize]>,
        priority: usize,
    ) -> MemoryResult<Arc<Thread>> {
        let stack = process.add_stack()?;
        let context = Context::new(stack.end.0, entry_point, arguments, process.is_user);
        Ok(Arc::new(Thread {
            id: NEXT_THREAD_ID.fetch_add(1, Ordering::Relaxed),
            stack,
            process,
            priority,
            inner: Mutex::new(ThreadInner {
                context: Some(context),
                sleeping: false,
                dead: false,
            }),
        }))
    }

    /// The part that changes, with interrupts masked.
    pub fn inner(&self) -> LockGuard<'_, ThreadInner> {
        LockGuard::of(&self.inner)
    }

    /// Makes the thread the running one: its address space, and its Context on the kernel stack.
    #[inline(never)] // a place to trace, also in a release build
    pub fn prepare(&self) -> *mut Context {
        self.process.inner().memory_set.activate();
        let context = self
            .inner()
            .context
            .take()
            .expect("a thread that is to run has a parked Context");
        KERNEL_STACK.push_context(context)
    }

    /// Keeps the registers of the thread, which stops running.
    #[inline(never)] // a place to trace, also in a release build
    pub fn park(&self, context: Context) {
        let previous = self.inner().context.replace(context);
        assert!(previous.is_none(), "thread {} was parked already", self.id);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Err(reason) = self.process.remove_stack(self.stack) {
            panic!(
                "the stack of thread {} cannot be freed: {}",
                self.id, reason
            );
        }
    }
}

impl PartialEq for Thread {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Thread {}

impl Hash for Thread {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.id);
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let inner = self.inner();
        formatter
            .debug_struct("Thread")
            .field("id", &self.id)
            .field("stack", &self.stack)
            .field("sleeping", &inner.sleeping)
            .field("dead", &inner.dead)
            .finish()
    }
}

/// A thread of the kernel that ends when `entry_point` returns. It runs once a processor has it.
///
/// Panics if there is no memory for its stack.
pub fn create_kernel_thread(
    process: Arc<Process>,
    entry_point: usize,
    arguments: Option<&[usize]>,
    priority: usize,
) -> Arc<Thread> {
    let thread = Thread::new(process, entry_point, arguments, priority)
        .expect("there is no room for a thread's stack");
    // The function returns to there.
    thread
        .as_ref()
        .inner()
        .context
        .as_mut()
        .expect("a new thread is parked")
        .set_ra(kernel_thread_exit as *const () as usize);
    thread
}

// A debugger looks up a return address at the byte before it. linker.ld puts this instruction right before
// kernel_thread_exit, and its call frame information says that there is no caller: a backtrace of a thread
// ends here instead of running into unrelated code.
global_asm!(
    ".cfi_sections .debug_frame",
    ".section .text.thread_bottom, \"ax\", @progbits",
    ".globl __thread_bottom",
    ".type __thread_bottom, @function",
    "__thread_bottom:",
    ".cfi_startproc",
    ".cfi_undefined ra",
    "unimp",
    ".cfi_endproc",
    ".size __thread_bottom, . - __thread_bottom",
    ".previous",
);

/// Where a thread's function returns to: marks the thread dead and gives the hart away for good.
#[no_mangle]
#[link_section = ".text.kernel_thread_exit"]
pub extern "C" fn kernel_thread_exit() {
    // From the mark to the trap nothing may come between.
    let _masked = MaskedInterrupts::new();
    PROCESSOR.lock().mark_current_thread_dead();
    give_hart_away();
    unreachable!("a dead thread runs");
}

/// Traps into the handler, which sees that the current thread has left.
pub(super) fn give_hart_away() {
    // SAFETY: the handler parks the registers and resumes after the instruction when the thread's turn comes.
    unsafe { asm!("ebreak") };
}
