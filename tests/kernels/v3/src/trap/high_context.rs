//! What a trap saves, in a page of the task's own table.

use crate::mm::KERNEL_SPACE;
use crate::sstatus::Sstatus;
use crate::trap::trap_handler;

#[repr(C)]
pub struct TrapContext {
    pub x: [usize; 32],
    pub sstatus: Sstatus,
    pub sepc: usize,
    pub kernel_satp: usize,
    pub kernel_sp: usize,
    pub trap_handler: usize,
}

impl TrapContext {
    pub fn app_init_context(entry: usize, sp: usize, kernel_sp: usize) -> Self {
        let mut x = [0; 32];
        x[2] = sp;
        Self {
            x,
            sstatus: Sstatus::of_user(),
            sepc: entry,
            kernel_satp: KERNEL_SPACE.exclusive_access().token(),
            kernel_sp,
            trap_handler: trap_handler as *const () as usize,
        }
    }
}
