//! The program of the first process.

use core::arch::global_asm;

global_asm!(include_str!("../programs.S"), include_str!("init.S"));

/// Its bytes.
pub fn app_data() -> &'static [u8] {
    extern "C" {
        fn app_0_start();
        fn app_0_end();
    }
    let start = app_0_start as *const () as usize;
    // SAFETY: the assembly put it there, and nobody writes to it.
    unsafe {
        core::slice::from_raw_parts(start as *const u8, app_0_end as *const () as usize - start)
    }
}
