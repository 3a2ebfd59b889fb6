#!/usr/bin/env bash
# Fetches the kernels of the tg-rcore-tutorial from crates.io, with their user programs, and builds them as they are.
#
#   build.sh            all of them
#   build.sh where      prints the folder that they are in
#   build.sh ch4 ch8    these chapters only
#
# They lie in ${RCDBG_KERNELS:-~/.cache/rcdbg/kernels}, in a folder named after their version and the compiler's, and
# are built once. In it each chN/ is a crate with its kernel and disk below target/, where cargo would have put them;
# chN/programs/ has the user programs where the kernel holds them without their symbols.
# Exit status: 2 if a tool is missing, else that of cargo.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly here
readonly crate=tg-rcore-tutorial target=riscv64gc-unknown-none-elf user=0.4.10
readonly -A chapters=([ch1]=0.4.10 [ch2]=0.4.11 [ch3]=0.4.11 [ch4]=0.4.11 [ch5]=0.4.11 [ch6]=0.4.11 [ch7]=0.4.11
    [ch8]=0.4.11)
# Minutes that all of it may take: where it takes longer, something waits for what will never come.
readonly limit=20

say() {
    printf 'tests/real/build.sh: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 2
}

# shellcheck source=../../kernel/toolchain.sh
source "$here/../../kernel/toolchain.sh"

# Prints the folder for these kernels as this compiler builds them.
place() {
    local compiler
    compiler=$("${RUSTC:-rustc}" --version | tr -c 'A-Za-z0-9.\n' '-' | cut -d- -f2)
    printf '%s/%s-%s-rustc-%s\n' "${RCDBG_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/rcdbg/kernels}" \
        "$crate" "${chapters[ch8]}" "$compiler"
}

# Unpacks the crates into the current folder, where they are not there yet.
unpack() {
    local name manifest registry
    [[ -d user && -d ch8 ]] && return
    say "fetching $crate from crates.io"
    mkdir -p fetch/src
    : >fetch/src/lib.rs
    {
        printf '[package]\nname = "fetch"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n[dependencies]\n'
        printf '%s-user = "=%s"\n' "$crate" "$user"
        for name in "${!chapters[@]}"; do
            printf '%s-%s = "=%s"\n' "$crate" "$name" "${chapters[$name]}"
        done
    } >fetch/Cargo.toml
    # The chapters are programs, of which cargo says that nobody can depend on them; it has fetched them all the same.
    manifest=$("${cargo_command[@]}" metadata --quiet --format-version 1 --manifest-path fetch/Cargo.toml |
        grep -o "\"manifest_path\":\"[^\"]*$crate-user-$user/Cargo.toml\"" | head -1 | cut -d'"' -f4)
    registry=$(dirname "$(dirname "$manifest")")
    copy "$registry/$crate-user-$user" user
    for name in "${!chapters[@]}"; do
        copy "$registry/$crate-$name-${chapters[$name]}" "$name"
    done
    rm -rf fetch
}

# Copies folder $1 to $2, whole or not at all.
copy() {
    [[ -d $1 ]] || fail "cargo fetched no ${1##*/}"
    rm -rf "$2" "$2.part"
    cp -r "$1" "$2.part"
    chmod -R u+w "$2.part"
    mv "$2.part" "$2"
}

# Makes `rust-objcopy`, which the crates' build scripts call, in ./bin, and puts that on the path. rustup's own finds
# its libraries only if a proxy has set the environment.
provide_objcopy() {
    local sysroot tool
    sysroot=$("${RUSTC:-rustc}" --print sysroot)
    for tool in "$(first_command rust-objcopy || true)" "$(compgen -G "$sysroot/lib/rustlib/*/bin/rust-objcopy" || true)" \
        "$(first_command llvm-objcopy "llvm-objcopy-*" || true)"; do
        if [[ -n $tool ]] && "$tool" --version >/dev/null 2>&1; then
            mkdir -p bin
            printf '#!/bin/sh\nexec "%s" "$@"\n' "$tool" >bin/rust-objcopy
            chmod +x bin/rust-objcopy
            export PATH="$PWD/bin:$PATH"
            return
        fi
    done
    fail "no objcopy for RISC-V: apt-get install llvm"
}

# What `build_flags` say, in a file that cargo reads below this folder: the crates' build scripts call cargo too.
configure() {
    mkdir -p .cargo
    : >.cargo/config.toml
    ((${#build_flags[@]})) || return 0
    {
        printf '[unstable]\nbuild-std = ["core", "alloc"]\n'
        printf '[profile.dev.package.%s]\nopt-level = 3\ndebug-assertions = false\noverflow-checks = false\n' \
            core alloc compiler_builtins
    } >.cargo/config.toml
}

# Builds chapter $1. All share one folder for what they are built of; the disk comes to lie below the crate's own `target`
# whatever cargo is told, and so does the kernel then.
build() {
    local folder=$1 built=target/$target/debug
    local kernel=$folder/$built/$crate-$1
    [[ -f $kernel ]] && return
    say "building $crate-$1"
    (
        cd "$folder"
        TG_USER_DIR=$PWD/../user "${cargo_command[@]}" build --quiet --locked --target "$target" \
            --target-dir "$PWD/../target"
    )
    # Two chapters link programs of the same names for other addresses, and take their bytes only.
    if [[ $folder == ch[23] ]]; then
        mkdir -p "$folder/programs"
        find "user/$built" -maxdepth 1 -type f -perm -u+x -exec cp -t "$folder/programs" {} +
    fi
    mkdir -p "$folder/$built"
    cp "$built/$crate-$1" "$kernel.part"
    mv "$kernel.part" "$kernel"
}

main() {
    local name
    find_toolchain "$target"
    local there
    there=$(place)
    if [[ ${1:-} == where ]]; then
        printf '%s\n' "$there"
        return
    fi
    mkdir -p "$there"
    cd "$there"
    exec 9>lock
    flock 9
    (($#)) || set -- ch1 ch2 ch3 ch4 ch5 ch6 ch7 ch8
    unpack
    provide_objcopy
    configure
    for name in "$@"; do
        [[ -v chapters[$name] ]] || fail "no chapter $name"
        build "$name"
    done
    # What is left of the building is large, and of no more use: another compiler gets a folder of its own.
    if (($# == ${#chapters[@]})); then
        rm -rf target user/target
    fi
    say "the kernels are in $there"
}

main "$@"
