use std::{env, fs, path::Path};

fn main() {
    let program = fs::canonicalize("../user/target/riscv64imac-unknown-none-elf/release/hello")
        .expect("the user program is built first");
    let text = format!(
        ".section .data\n.globl program\nprogram:\n.incbin \"{}\"\n.globl program_end\nprogram_end:\n",
        program.display()
    );
    fs::write(Path::new(&env::var("OUT_DIR").unwrap()).join("program.S"), text).unwrap();
    println!("cargo:rerun-if-changed={}", program.display());
    println!("cargo:rerun-if-changed=src/linker.ld");
}
