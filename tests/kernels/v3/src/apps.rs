//! The programs that lie in the kernel's data.

use core::arch::global_asm;

global_asm!(include_str!("programs.S"), include_str!("apps.S"));

pub const NUM_APP: usize = 4;

/// The bytes of a program.
pub fn app_data(app: usize) -> &'static [u8] {
    extern "C" {
        fn app_0_start();
        fn app_1_start();
        fn app_2_start();
        fn app_3_start();
        fn app_3_end();
    }
    let bounds = [
        app_0_start as *const () as usize,
        app_1_start as *const () as usize,
        app_2_start as *const () as usize,
        app_3_start as *const () as usize,
        app_3_end as *const () as usize,
    ];
    // SAFETY: the assembly put it there, and nobody writes to it.
    unsafe { core::slice::from_raw_parts(bounds[app] as *const u8, bounds[app + 1] - bounds[app]) }
}
