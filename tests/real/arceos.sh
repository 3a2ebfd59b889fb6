#!/usr/bin/env bash
# Builds a kernel of ArceOS's modules as crates.io has them, with the program in ./arceos.
#
#   arceos.sh           builds it
#   arceos.sh where     prints the folder that it is in
#
# It lies in ${RCDBG_KERNELS:-~/.cache/rcdbg/kernels}, in a folder named after the modules' version and the compiler's,
# as `arceos`, and is built when the program has changed. Exit status: 2 if a tool is missing, else that of cargo.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly here
readonly target=riscv64gc-unknown-none-elf platform=riscv64-qemu-virt board=0.3.1-pre.6 version=0.3.0-preview.3

say() {
    printf 'tests/real/arceos.sh: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 2
}

# shellcheck source=../../kernel/toolchain.sh
source "$here/../../kernel/toolchain.sh"

# Prints the folder for this kernel as this compiler builds it.
place() {
    local compiler
    compiler=$("${RUSTC:-rustc}" --version | tr -c 'A-Za-z0-9.\n' '-' | cut -d- -f2)
    printf '%s/arceos-%s-rustc-%s\n' "${RCDBG_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/rcdbg/kernels}" \
        "$version" "$compiler"
}

# What each task gets, and the board, of which its crate has the facts. That of its gigabyte for PCI cards is left out:
# without optimisation, to map it page by page takes longer than all the rest.
configure() {
    local crate
    crate=$("${cargo_command[@]}" metadata --quiet --locked --format-version 1 --manifest-path source/Cargo.toml |
        grep -o "\"manifest_path\":\"[^\"]*/axplat-$platform-$board/Cargo.toml\"" | head -1 | cut -d'"' -f4)
    [[ -n $crate ]] || fail "cargo fetched no axplat-$platform"
    {
        printf 'task-stack-size = 0x40000\nticks-per-sec = 100\n'
        sed '/^    \[.*# PCI/d' "$(dirname "$crate")/axconfig.toml"
    } >axconfig.toml
}

main() {
    find_toolchain "$target"
    local there script
    there=$(place)
    if [[ ${1:-} == where ]]; then
        printf '%s\n' "$there"
        return
    fi
    mkdir -p "$there"
    cd "$there"
    exec 9>lock
    flock 9
    rm -rf source
    cp -r "$here/arceos" source
    if [[ -f arceos && -f built ]] && diff -r source built >/dev/null; then
        return
    fi
    configure
    script=$there/target/$target/debug/linker_$platform.lds
    # Its crates ask for what a stable compiler gives only when it is told that it bootstraps itself.
    export RUSTC_BOOTSTRAP=1 AX_CONFIG_PATH=$there/axconfig.toml
    export CARGO_TARGET_RISCV64GC_UNKNOWN_NONE_ELF_RUSTFLAGS="-C link-arg=-T$script -C link-arg=-no-pie \
-C link-arg=-znostart-stop-gc -C relocation-model=static"
    say "building ArceOS $version"
    "${cargo_command[@]}" build --quiet --locked ${build_flags[@]+"${build_flags[@]}"} --target "$target" \
        --manifest-path source/Cargo.toml --target-dir target
    cp "target/$target/debug/arceos" arceos.part
    mv arceos.part arceos
    # What is left of the building is large, and of no more use.
    rm -rf built target
    cp -r source built
    say "it is in $there"
}

main "$@"
