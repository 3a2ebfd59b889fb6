//! What the firmware tells the kernel: the memory's size and the boot arguments, from the device tree.
//!
//! Everything is copied out at once, because the device tree lies in memory that the frame allocator hands out.

use crate::config::KERNEL_MAP_OFFSET;
use crate::sbi;
use fdt::Fdt;
use spin::Once;

/// The longest command line that is kept, in bytes.
const ARGUMENTS_CAPACITY: usize = 512;

/// All keys that somebody asks for.
const KNOWN_KEYS: [&str; 8] = [
    "scenario",
    "interval",
    "dump",
    "threads",
    "processes",
    "ticks",
    "frames",
    "where",
];

/// What the device tree says.
pub struct BootInformation {
    /// The end of the memory that the kernel was loaded into, a physical address.
    pub memory_end: usize,
    text: [u8; ARGUMENTS_CAPACITY],
    length: usize,
}

static BOOT: Once<BootInformation> = Once::new();

extern "C" {
    fn kernel_end();
}

/// Reads the device tree at the physical address `device_tree`; to be called first, and once.
pub fn init(device_tree: usize) {
    let address = device_tree + KERNEL_MAP_OFFSET;
    // SAFETY: the firmware passes the address of a device tree, and boot_page_table maps the gigabyte it is in.
    let tree = unsafe { Fdt::from_ptr(address as *const u8) }
        .unwrap_or_else(|error| panic!("no device tree at {:#x}: {}", device_tree, error));

    let kernel = kernel_end as *const () as usize - KERNEL_MAP_OFFSET;
    let memory_end = tree
        .memory()
        .regions()
        .map(|region| (region.starting_address as usize, region.size.unwrap_or(0)))
        .find(|&(start, size)| start <= kernel && kernel < start + size)
        .map(|(start, size)| start + size)
        .expect("the device tree does not mention the memory that the kernel is in");

    let arguments = tree.chosen().bootargs().unwrap_or("");
    let mut text = [0; ARGUMENTS_CAPACITY];
    if arguments.len() > text.len() {
        refuse(format_args!(
            "boot arguments longer than {} bytes",
            ARGUMENTS_CAPACITY
        ));
    }
    text[..arguments.len()].copy_from_slice(arguments.as_bytes());
    BOOT.call_once(|| BootInformation {
        memory_end,
        text,
        length: arguments.len(),
    });
}

/// Mentions the boot arguments that mean nothing: most likely a slip of the pen.
pub fn print_unknown_arguments() {
    for word in information().arguments().split_ascii_whitespace() {
        let known = word
            .split_once('=')
            .is_some_and(|(key, _)| KNOWN_KEYS.contains(&key));
        if !known {
            println!("boot argument {}: not known, ignored", word);
        }
    }
}

/// What [`init`] found.
pub fn information() -> &'static BootInformation {
    BOOT.get().expect("boot::init comes first")
}

impl BootInformation {
    /// The boot arguments as one line.
    fn arguments(&self) -> &str {
        core::str::from_utf8(&self.text[..self.length]).unwrap_or("")
    }
}

/// The value of `key=value` in the boot arguments; of several the last one.
pub fn argument(key: &str) -> Option<&'static str> {
    information()
        .arguments()
        .split_ascii_whitespace()
        .rev()
        .filter_map(|word| word.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// The value of `key=NUMBER`, or `default`; ends the machine if it is not a decimal number.
pub fn number(key: &str, default: usize) -> usize {
    optional_number(key).unwrap_or(default)
}

/// The value of `key=NUMBER` if it is there; ends the machine if it is not a decimal number.
pub fn optional_number(key: &str) -> Option<usize> {
    argument(key).map(|value| {
        value.parse().unwrap_or_else(|_| {
            refuse(format_args!(
                "boot argument {}={}: not a number",
                key, value
            ))
        })
    })
}

/// Like [`number`], and ends the machine if the value is 0.
pub fn positive(key: &str, default: usize) -> usize {
    match number(key, default) {
        0 => refuse(format_args!("boot argument {}=0: must be positive", key)),
        value => value,
    }
}

/// Like [`positive`], and ends the machine if the value is above `max`.
pub fn at_most(key: &str, default: usize, max: usize) -> usize {
    match positive(key, default) {
        value if value > max => refuse(format_args!(
            "boot argument {}={}: at most {}",
            key, value, max
        )),
        value => value,
    }
}

/// Ends the machine with failure and one line: the boot arguments make no sense.
pub fn refuse(reason: core::fmt::Arguments) -> ! {
    println!("{}", reason);
    sbi::shutdown_failure()
}
