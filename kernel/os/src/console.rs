//! Formatted output on the firmware's console.

use crate::mask::without_interrupts;
use crate::sbi::console_putchar;
use core::fmt::{self, Write};

struct Stdout;

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| console_putchar(byte as usize));
        Ok(())
    }
}

/// Writes `arguments` without being interrupted, so that two threads' lines do not mix.
pub fn print(arguments: fmt::Arguments) {
    without_interrupts(|| {
        // An error can only come from a Display implementation, and there is nowhere else to report it.
        let _ = Stdout.write_fmt(arguments);
    });
}

/// Prints on the console.
#[macro_export]
macro_rules! print {
    ($fmt: literal $(, $($arg: tt)+)?) => {
        $crate::console::print(format_args!($fmt $(, $($arg)+)?))
    };
}

/// Prints on the console, with a new line.
#[macro_export]
macro_rules! println {
    () => {
        $crate::console::print(format_args!("\n"))
    };
    ($fmt: literal $(, $($arg: tt)+)?) => {
        $crate::console::print(format_args!(concat!($fmt, "\n") $(, $($arg)+)?))
    };
}
