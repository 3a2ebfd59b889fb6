//! The status register, as a type.

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Sstatus {
    bits: usize,
}

impl Sstatus {
    /// To go to U-mode with, interrupts on there.
    pub fn of_user() -> Self {
        const SPP: usize = 1 << 8;
        const SPIE: usize = 1 << 5;
        Self {
            bits: (bare::read_csr!("sstatus") & !SPP) | SPIE,
        }
    }
}
