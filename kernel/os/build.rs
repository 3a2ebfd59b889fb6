//! Tells the linker where the kernel lives, so that a plain `cargo build --target ...` is enough.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/linker.ld");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if architecture == "riscv64" {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest folder");
        let script = Path::new(&folder).join("src/linker.ld");
        println!("cargo:rustc-link-arg-bins=-T{}", script.display());
        println!("cargo:rustc-link-arg-bins=--build-id=sha1");
    }
}
