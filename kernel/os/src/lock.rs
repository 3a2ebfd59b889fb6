//! A spin lock that keeps interrupts off while it is held.
//!
//! The timer's handler takes the same locks as the threads do. If a thread were interrupted while it holds one,
//! the handler would spin for ever.

use crate::mask::MaskedInterrupts;
use core::ops::{Deref, DerefMut};
use spin::{Mutex, MutexGuard};

/// A `Mutex` that masks interrupts.
#[derive(Default)]
pub struct Lock<T>(Mutex<T>);

/// Access to what a lock protects. Guards that overlap must be dropped in the reverse order.
pub struct LockGuard<'a, T> {
    // Fields are dropped in this order: the lock is open again before an interrupt can come.
    guard: MutexGuard<'a, T>,
    _masked: MaskedInterrupts,
}

impl<T> Lock<T> {
    /// An open lock.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> LockGuard<'_, T> {
        LockGuard::of(&self.0)
    }

    /// Takes the lock if it is open.
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        let masked = MaskedInterrupts::new();
        let guard = self.0.try_lock()?;
        Some(LockGuard {
            guard,
            _masked: masked,
        })
    }
}

impl<'a, T> LockGuard<'a, T> {
    /// Waits for a plain mutex, with interrupts masked for as long as it is held.
    pub fn of(mutex: &'a Mutex<T>) -> Self {
        let masked = MaskedInterrupts::new();
        LockGuard {
            guard: mutex.lock(),
            _masked: masked,
        }
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
