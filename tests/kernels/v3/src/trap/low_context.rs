//! What a trap saves on the task's kernel stack.

use crate::sstatus::Sstatus;

#[repr(C)]
pub struct TrapContext {
    pub x: [usize; 32],
    pub sstatus: Sstatus,
    pub sepc: usize,
}

impl TrapContext {
    pub fn app_init_context(entry: usize, sp: usize) -> Self {
        let mut x = [0; 32];
        x[2] = sp;
        Self {
            x,
            sstatus: Sstatus::of_user(),
            sepc: entry,
        }
    }
}
