//! Tells the linker where the kernels lie.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=src/linker.ld");
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest folder");
    let script = Path::new(&folder).join("src/linker.ld");
    println!("cargo:rustc-link-arg-bins=-T{}", script.display());
}
