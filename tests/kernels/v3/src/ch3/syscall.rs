//! System calls.

use crate::task::{account, exit_current_and_run_next, suspend_current_and_run_next, user_text};

const WRITE: usize = 64;
const EXIT: usize = 93;
const YIELD: usize = 124;
const ACCOUNT: usize = 2000;

pub fn syscall(id: usize, arguments: [usize; 3]) -> isize {
    match id {
        WRITE => {
            for byte in user_text(arguments[1], arguments[2]) {
                bare::print(format_args!("{}", byte as char));
            }
            bare::println!("");
            arguments[2] as isize
        }
        EXIT => {
            exit_current_and_run_next(arguments[0] as i32);
            unreachable!()
        }
        YIELD => {
            suspend_current_and_run_next();
            0
        }
        ACCOUNT => {
            crate::account::tell(account);
            0
        }
        _ => panic!("no system call {id}"),
    }
}
