//! System calls.

use crate::task::processor::current_task;
use crate::task::sync::{sleep, Condvar, Mutex, MutexBlocking, Semaphore};
use crate::task::{
    account, create_thread, current_process, exit_current_and_run_next, fork,
    suspend_current_and_run_next, user_text, wait_for_child, wait_for_thread,
};
use alloc::sync::Arc;
use alloc::vec::Vec;

const WRITE: usize = 64;
const EXIT: usize = 93;
const SLEEP: usize = 101;
const YIELD: usize = 124;
const GETPID: usize = 172;
const FORK: usize = 220;
const WAITPID: usize = 260;
const THREAD_CREATE: usize = 1000;
const GETTID: usize = 1001;
const WAITTID: usize = 1002;
const MUTEX_CREATE: usize = 1010;
const MUTEX_LOCK: usize = 1011;
const MUTEX_UNLOCK: usize = 1012;
const SEMAPHORE_CREATE: usize = 1020;
const SEMAPHORE_UP: usize = 1021;
const SEMAPHORE_DOWN: usize = 1022;
const CONDVAR_CREATE: usize = 1030;
const CONDVAR_SIGNAL: usize = 1031;
const CONDVAR_WAIT: usize = 1032;
const ACCOUNT: usize = 2000;

pub fn syscall(id: usize, arguments: [usize; 3]) -> isize {
    match id {
        WRITE => {
            for byte in user_text(arguments[1], arguments[2]) {
                bare::print(format_args!("{}", byte as char));
            }
            bare::println!("");
            return arguments[2] as isize;
        }
        EXIT => {
            exit_current_and_run_next(arguments[0] as i32);
            unreachable!()
        }
        SLEEP => sleep(arguments[0]),
        YIELD => suspend_current_and_run_next(),
        GETPID => return current_process().pid.0 as isize,
        FORK => return fork(),
        WAITPID => return wait_for_child(),
        THREAD_CREATE => return create_thread(arguments[0], arguments[1]),
        GETTID => {
            let task = current_task().unwrap();
            let inner = task.inner_exclusive_access();
            return inner.res.as_ref().unwrap().tid as isize;
        }
        WAITTID => return wait_for_thread(arguments[0]),
        MUTEX_CREATE..=CONDVAR_WAIT => return synchronise(id, arguments),
        ACCOUNT => crate::account::tell(account),
        _ => panic!("no system call {id}"),
    }
    0
}

fn synchronise(id: usize, [first, second, _]: [usize; 3]) -> isize {
    let process = current_process();
    let mut inner = process.inner_exclusive_access();
    let at = |list: &Vec<Option<Arc<dyn Mutex>>>, place: usize| list[place].clone().unwrap();
    match id {
        MUTEX_CREATE => {
            inner.mutex_list.push(Some(Arc::new(MutexBlocking::new())));
            return inner.mutex_list.len() as isize - 1;
        }
        SEMAPHORE_CREATE => {
            let made = Some(Arc::new(Semaphore::new(first)));
            inner.semaphore_list.push(made);
            return inner.semaphore_list.len() as isize - 1;
        }
        CONDVAR_CREATE => {
            inner.condvar_list.push(Some(Arc::new(Condvar::new())));
            return inner.condvar_list.len() as isize - 1;
        }
        MUTEX_LOCK | MUTEX_UNLOCK => {
            let mutex = at(&inner.mutex_list, first);
            drop(inner);
            drop(process);
            if id == MUTEX_LOCK {
                mutex.lock();
            } else {
                mutex.unlock();
            }
        }
        SEMAPHORE_UP | SEMAPHORE_DOWN => {
            let semaphore = inner.semaphore_list[first].clone().unwrap();
            drop(inner);
            drop(process);
            if id == SEMAPHORE_UP {
                semaphore.up();
            } else {
                semaphore.down();
            }
        }
        CONDVAR_SIGNAL => {
            let condvar = inner.condvar_list[first].clone().unwrap();
            drop(inner);
            condvar.signal();
        }
        CONDVAR_WAIT => {
            let condvar = inner.condvar_list[first].clone().unwrap();
            let mutex = at(&inner.mutex_list, second);
            drop(inner);
            drop(process);
            // As the rule is: with the mutex, which waiting gives back.
            mutex.lock();
            condvar.wait(mutex.as_ref());
        }
        _ => panic!("no system call {id}"),
    }
    0
}
