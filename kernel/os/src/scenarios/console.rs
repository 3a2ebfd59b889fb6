//! `console`: echoes a line that is typed.

use super::{no_tick, nothing, Scenario};
use crate::sbi::console_getchar;
use alloc::string::String;

pub const SCENARIO: Scenario = Scenario {
    name: "console",
    prepare,
    on_tick: no_tick,
    finish: nothing,
};

fn prepare() {
    println!("type a line:");
    let mut line = String::new();
    loop {
        match u8::try_from(console_getchar()) {
            Ok(b'\n' | b'\r') => break,
            Ok(byte) => line.push(char::from(byte)),
            // Nothing was typed yet.
            Err(_) => core::hint::spin_loop(),
        }
    }
    println!("you typed {:?}", line);
}
