//! The registers of an interrupted flow of control.

use core::fmt;
use riscv::register::sstatus::{self, Sstatus, SPP};

/// What `__interrupt` saves and `__restore` loads: 34 words. x\[0\] is always 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Context {
    /// The integer registers.
    pub x: [usize; 32],
    /// The status register: SPP and SPIE say to where and how sret returns.
    pub sstatus: Sstatus,
    /// The address at which to go on.
    pub sepc: usize,
}

/// How many arguments a thread's function can have: a0 to a7.
pub const MAX_ARGUMENTS: usize = 8;

impl Context {
    /// The state in which a thread starts: at `entry_point(arguments...)`, with its own stack and interrupts on.
    ///
    /// Panics if there are more arguments than registers for them.
    pub fn new(
        stack_top: usize,
        entry_point: usize,
        arguments: Option<&[usize]>,
        is_user: bool,
    ) -> Self {
        let mut status = sstatus::read();
        status.set_spp(if is_user { SPP::User } else { SPP::Supervisor });
        status.set_spie(true);
        status.set_sie(false);
        let mut context = Self {
            x: [0; 32],
            sstatus: status,
            sepc: entry_point,
        };
        context.set_sp(stack_top);
        let arguments = arguments.unwrap_or(&[]);
        assert!(
            arguments.len() <= MAX_ARGUMENTS,
            "at most {} arguments",
            MAX_ARGUMENTS
        );
        context.x[10..10 + arguments.len()].copy_from_slice(arguments);
        context
    }

    /// Sets the stack pointer.
    pub fn set_sp(&mut self, value: usize) {
        self.x[2] = value;
    }

    /// Sets the return address.
    pub fn set_ra(&mut self, value: usize) {
        self.x[1] = value;
    }
}

/// The registers, in hexadecimal.
impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(
            formatter,
            "sepc={:#x} sstatus={:#x} x=",
            self.sepc,
            self.sstatus.bits()
        )?;
        for (number, value) in self.x.iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            write!(formatter, "{}{:#x}", separator, value)?;
        }
        Ok(())
    }
}
