//! Interrupts off for a while: sstatus.SIE.

use riscv::register::sstatus;

/// Turns interrupts off.
pub fn disable() {
    // SAFETY: fewer interrupts break nothing.
    unsafe { sstatus::clear_sie() };
}

/// Interrupts are off as long as this lives; then they are what they were before.
pub struct MaskedInterrupts {
    were_enabled: bool,
}

impl MaskedInterrupts {
    /// Turns interrupts off.
    pub fn new() -> Self {
        let were_enabled = sstatus::read().sie();
        disable();
        Self { were_enabled }
    }
}

impl Drop for MaskedInterrupts {
    fn drop(&mut self) {
        if self.were_enabled {
            // SAFETY: they were on when this was made, so whoever is below can bear them.
            unsafe { sstatus::set_sie() };
        }
    }
}

/// Runs `work` with interrupts off.
pub fn without_interrupts<T>(work: impl FnOnce() -> T) -> T {
    let _masked = MaskedInterrupts::new();
    work()
}
