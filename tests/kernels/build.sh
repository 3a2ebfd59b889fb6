#!/usr/bin/env bash
# Builds the test kernels with whatever Rust there is, as kernel/build.sh does the sample: the arguments are cargo's.
set -euo pipefail

readonly target=riscv64imac-unknown-none-elf
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

say() {
    printf 'tests/kernels/build.sh: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 2
}

# shellcheck source=../../kernel/toolchain.sh
source "$here/../../kernel/toolchain.sh"
find_toolchain "$target"
cd "$here"
# The library and what both need is built once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/../../kernel/target}
"${cargo_command[@]}" build --locked ${build_flags[@]+"${build_flags[@]}"} --target "$target" "$@"
