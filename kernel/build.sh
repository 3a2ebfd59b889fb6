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

# Whether rustup's active toolchain can build for $1; without $1, whether there is one at all.
rustup_has() {
    local installed
    installed=$(rustup target list --installed 2>/dev/null) || return 1
    [[ -z ${1:-} ]] || grep -qxF "$1" <<<"$installed"
}

# Sets `cargo_command` and `build_flags` for rustup's toolchain; returns 1 if that cannot be. $1 is the target that
# it must have, or nothing.
use_rustup() {
    command -v rustup >/dev/null || return 1
    rustup_has || return 1
    if [[ -n ${1:-} ]] && ! rustup_has "$1"; then
        say "rustup's toolchain lacks $1: trying \`rustup target add $1\`"
        rustup target add "$1" >&2 || return 1
        rustup_has "$1" || return 1
    fi
    local bin
    bin=$(dirname "$(rustup which cargo)") || return 1
    # The folder first, not the proxies: an overridden RUSTC or a directory override cannot mix two toolchains.
    export PATH="$bin:$PATH"
    unset RUSTC
    cargo_command=("$bin/cargo")
    build_flags=()
    say "using rustup's $("$bin/rustc" --version) in $bin"
}

# Sets the same for the distribution's toolchain, which has no precompiled libraries for the target and builds them
# from their source; returns 1 if that cannot be.
use_system() {
    [[ -x /usr/bin/cargo && -x /usr/bin/rustc ]] || return 1
    export PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc
    cargo_command=(/usr/bin/cargo)
    build_flags=()
    local origin
    origin="the system's $(/usr/bin/rustc --version)"
    if [[ -z ${1:-} ]]; then
        say "using $origin"
        return
    fi

    local sysroot linker library setting
    sysroot=$(/usr/bin/rustc --print sysroot)
    if [[ -d $sysroot/lib/rustlib/$1/lib ]]; then
        origin+=", which has the target"
    elif [[ -f $sysroot/lib/rustlib/src/rust/library/Cargo.lock ]]; then
        # A stable compiler takes -Z flags when it is told that it bootstraps itself.
        export RUSTC_BOOTSTRAP=1
        build_flags+=("-Zbuild-std=core,alloc")
        # As in the precompiled libraries: else a debug kernel takes half as long again for everything.
        for library in core alloc compiler_builtins; do
            for setting in opt-level=3 debug-assertions=false overflow-checks=false; do
                build_flags+=(--config "profile.dev.package.$library.$setting")
            done
        done
        origin+=", with the library from $sysroot/lib/rustlib/src"
    else
        say "/usr/bin/rustc has neither the target $1 nor the library's source"
        return 1
    fi
    linker=$(first_command ld.lld "ld.lld-*" rust-lld) || {
        say "/usr/bin/rustc needs the linker ld.lld"
        return 1
    }
    local variable=${1^^}
    export "CARGO_TARGET_${variable//-/_}_LINKER=$linker"
    say "using $origin, linker $linker"
}

# Prints the path of the first of these commands that exists and is no dangling link; a pattern stands for its
# highest version.
first_command() {
    local name candidate folder
    local -a folders
    IFS=: read -r -a folders <<<"$PATH"
    for name in "$@"; do
        for folder in "${folders[@]}"; do
            while read -r candidate; do
                if [[ -f $candidate && -x $candidate ]]; then
                    printf '%s\n' "$candidate"
                    return
                fi
            done < <(compgen -G "$folder/$name" | sort -rV)
        done
    done
    return 1
}

# Finds a toolchain: $1 is the target that it must have, or nothing.
find_toolchain() {
    case ${KERNEL_TOOLCHAIN:-any} in
        any) use_rustup "${1:-}" || use_system "${1:-}" || no_toolchain ;;
        rustup) use_rustup "${1:-}" || no_toolchain ;;
        system) use_system "${1:-}" || no_toolchain ;;
        *) fail "KERNEL_TOOLCHAIN=$KERNEL_TOOLCHAIN: known are rustup and system" ;;
    esac
}

no_toolchain() {
    say "no Rust toolchain can build for $target. Either of these gives one:"
    say "  rustup target add $target"
    say "  apt-get install rustc-web cargo-web rust-web-src lld llvm" \
        "(on other releases: rustc cargo rust-src lld llvm)"
    exit 2
}

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
