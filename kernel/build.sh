#!/usr/bin/env bash
# Builds, checks and tests the kernel with whatever Rust there is.
#
#   build.sh build [cargo's arguments]   the kernel, as ELF `os` and as raw image `kernel.bin` beside it
#   build.sh clippy [cargo's arguments]  clippy for the kernel's target and for the host's tests
#   build.sh fmt [--check]               rustfmt
#   build.sh test [cargo's arguments]    the unit tests of `algorithm`, on the host
#
# The result is in ${CARGO_TARGET_DIR:-target}/riscv64imac-unknown-none-elf/{debug,release}/.
# KERNEL_TOOLCHAIN=rustup or =system insists on one of the two ways to get a toolchain.
# Exit status: 2 if a tool is missing or the call makes no sense, else that of cargo.

set -euo pipefail

readonly target=riscv64imac-unknown-none-elf
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly here

say() {
    printf 'kernel/build.sh: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 2
}

# shellcheck source=toolchain.sh
source "$here/toolchain.sh"

# Makes the raw image $2 of the ELF $1.
make_image() {
    local elf=$1 image=$2 sysroot objcopy
    sysroot=$("${RUSTC:-rustc}" --print sysroot)
    # rustup's toolchains bring one along. GNU's works only if it knows RISC-V.
    for objcopy in "$(first_command rust-objcopy llvm-objcopy "llvm-objcopy-*" || true)" \
        "$(compgen -G "$sysroot/lib/rustlib/*/bin/rust-objcopy" || true)" \
        "$(first_command "riscv64-*-objcopy" objcopy || true)"; do
        if [[ -n $objcopy ]] && "$objcopy" --strip-all -O binary "$elf" "$image" 2>/dev/null; then
            return
        fi
    done
    fail "no objcopy for RISC-V, so there is no $image: apt-get install llvm" \
        "(or binutils-riscv64-linux-gnu). QEMU also boots the ELF: -kernel $elf"
}

# Prints the folder of the profile that cargo's arguments choose.
profile_folder() {
    local folder=debug
    while (($#)); do
        case $1 in
            -r | --release) folder=release ;;
            --profile) folder=${2:-} ;;
            --profile=*) folder=${1#--profile=} ;;
        esac
        shift
    done
    [[ $folder == dev ]] && folder=debug
    printf '%s\n' "$folder"
}

build() {
    find_toolchain "$target"
    "${cargo_command[@]}" build --locked ${build_flags[@]+"${build_flags[@]}"} --target "$target" -p os "$@"
    local folder
    folder=$CARGO_TARGET_DIR/$target/$(profile_folder "$@")
    make_image "$folder/os" "$folder/kernel.bin"
    say "made $folder/os and kernel.bin"
}

clippy() {
    find_toolchain "$target"
    "${cargo_command[@]}" clippy --locked ${build_flags[@]+"${build_flags[@]}"} --target "$target" \
        --workspace "$@" -- -D warnings
    "${cargo_command[@]}" clippy --locked -p algorithm --all-targets -- -D warnings
}

main() {
    (($#)) || fail "say what: build, clippy, fmt or test"
    local command=$1
    shift
    CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/target}
    # As cargo does: relative to where we were called.
    [[ $CARGO_TARGET_DIR == /* ]] || CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR
    export CARGO_TARGET_DIR
    cd "$here"
    case $command in
        build) build "$@" ;;
        clippy) clippy "$@" ;;
        fmt)
            find_toolchain
            "${cargo_command[@]}" fmt --all "$@"
            ;;
        test)
            find_toolchain
            "${cargo_command[@]}" test --locked -p algorithm "$@"
            ;;
        *) fail "unknown command $command: known are build, clippy, fmt and test" ;;
    esac
}

main "$@"
