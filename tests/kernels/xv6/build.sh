#!/usr/bin/env bash
# Builds the kernel in the shape of xv6-riscv: build.sh OUT [clang's arguments], such as -O2, -gdwarf-4 or -DMOVED.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
out=$1
shift

# A linker for RISC-V: LLVM's, Rust's copy of it, or GNU's.
linker() {
    local candidate
    for candidate in ld.lld rust-lld riscv64-unknown-elf-ld riscv64-linux-gnu-ld; do
        command -v "$candidate" && return
    done
    compgen -G "/usr/bin/ld.lld-*" | sort -rV | head -1 | grep . && return
    compgen -G "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/*/bin/rust-lld" | head -1 | grep . && return
    echo "tests/kernels/xv6/build.sh: no linker for RISC-V: apt-get install lld" >&2
    return 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
linker=$(linker)
[[ $linker != *rust-lld ]] || linker+=" -flavor gnu"
flags=(--target=riscv64-unknown-elf -march=rv64ima -mabi=lp64 -mcmodel=medany -mno-relax -ffreestanding -fno-pic
    -fno-omit-frame-pointer -fno-builtin -Wall -Wextra -Werror -g "$@")
cd "$here"
clang "${flags[@]}" -c kernel.c -o "$work/kernel.o"
clang "${flags[@]}" -c entry.S -o "$work/entry.o"
$linker -T kernel.ld -o "$out" "$work/entry.o" "$work/kernel.o"
