//! A cell for statics of a machine with one hart.

use core::cell::{RefCell, RefMut};

pub struct UPSafeCell<T> {
    inner: RefCell<T>,
}

// SAFETY: there is one hart, and it is not interrupted in the kernel.
unsafe impl<T> Sync for UPSafeCell<T> {}

impl<T> UPSafeCell<T> {
    pub const fn new(value: T) -> Self {
        Self {
            inner: RefCell::new(value),
        }
    }

    #[allow(dead_code)]
    pub fn as_ptr(&self) -> *mut T {
        self.inner.as_ptr()
    }

    pub fn exclusive_access(&self) -> RefMut<'_, T> {
        self.inner.borrow_mut()
    }
}
