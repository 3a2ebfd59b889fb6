//! What the kernel says of itself.

use core::sync::atomic::{AtomicUsize, Ordering};

static ACCOUNTS: AtomicUsize = AtomicUsize::new(0);

/// Says on the console what the kernel holds, for tests that stop at `accounted`.
pub fn tell(account: impl Fn()) {
    let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed) + 1;
    bare::println!("account {number}");
    account();
    bare::println!("accounted {number}");
    bare::accounted(number);
}
