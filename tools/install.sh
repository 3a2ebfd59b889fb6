#!/usr/bin/env bash
# Install what rcdbg needs and this machine lacks: QEMU, a gdb, Python's venv, a Rust toolchain.
# For Debian 12 and later and Ubuntu 24.04 and later, as root or with sudo.
set -euo pipefail

# Of our kernel, and of the kernels of others that the tests build.
targets=(riscv64imac-unknown-none-elf riscv64gc-unknown-none-elf)
missing=()

say() { printf '[setup] %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
need() { # COMMAND PACKAGE...: the packages, unless the command is there
    local command=$1
    shift
    have "$command" || missing+=("$@")
}
offered() { [ -n "$(apt-cache search --names-only "^$1\$" 2>/dev/null)" ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        say "cannot install without root: run this as root, then again: $*" >&2
        exit 2
    fi
}

apt_updated=
apt_install() {
    [ $# -gt 0 ] || return 0
    if ! have apt-get; then
        say "this is not Debian or Ubuntu; please install by hand what these packages hold: $*" >&2
        exit 2
    fi
    if [ -z "$apt_updated" ]; then
        say "updating the package lists"
        as_root apt-get update -qq
        apt_updated=1
    fi
    say "installing: $*"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends -qq -o Dpkg::Use-Pty=0 "$@" |
        { grep -E '^Setting up' || true; }
}

refresh_lists() {
    if have apt-get && [ -z "$apt_updated" ] && [ -z "$(apt-cache search --names-only '^lld$' 2>/dev/null)" ]; then
        say "updating the package lists"
        as_root apt-get update -qq
        apt_updated=1
    fi
}

rust_targets_installed() {
    local installed target
    have rustup && installed=$(rustup target list --installed 2>/dev/null) || return 1
    for target in "${targets[@]}"; do
        grep -qx "$target" <<<"$installed" || return 1
    done
}

debian_rust() { [ -x /usr/bin/cargo ] && [ -e /usr/lib/rustlib/src/rust/library/core/Cargo.toml -o -e "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/core/Cargo.toml" ]; }

install_rust() {
    if rust_targets_installed; then
        say "Rust: rustup has ${targets[*]}"
        return
    fi
    if debian_rust && have ld.lld; then
        say "Rust: Debian's own, with its sources (core is built from them)"
        return
    fi
    refresh_lists
    if ! have rustup && ! have cargo && offered rustup; then
        apt_install rustup
        say "Rust: installing the stable toolchain with rustup"
        rustup toolchain install stable --profile minimal --component clippy,rustfmt \
            "${targets[@]/#/--target=}" || true
    elif have rustup; then
        say "Rust: adding ${targets[*]} with rustup"
        rustup target add "${targets[@]}" >/dev/null 2>&1 ||
            say "Rust: rustup cannot fetch them here; trying the distribution's packages"
    fi
    rust_targets_installed && return
    if offered rustc-web; then
        apt_install rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web lld
    else
        say "no Rust toolchain for RISC-V can be had: install rustup (https://rustup.rs)," >&2
        say "then: rustup target add ${targets[*]}" >&2
        exit 2
    fi
}

need gcc gcc libc6-dev # links the host tests of the kernel's algorithms
need qemu-system-riscv64 "$(
    if offered qemu-system-riscv; then echo qemu-system-riscv; else echo qemu-system-misc; fi
)"
need gdb-multiarch gdb-multiarch
need llvm-objcopy llvm
need clang clang # builds a test kernel that is in C
need git git
need patch patch # the mutants of the kernel are patches
need tmux tmux # a terminal for the tests to type into
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ -e /usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin ] || missing+=(opensbi)
apt_install "${missing[@]}"
install_rust
say "the system has what rcdbg needs"
