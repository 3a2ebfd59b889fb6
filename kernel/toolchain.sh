# Finds a Rust toolchain that can build for a target: rustup's, else the distribution's. To be sourced by scripts that
# have `say` and `fail`; `find_toolchain TARGET` sets `cargo_command` and `build_flags`, and the environment.
# KERNEL_TOOLCHAIN=rustup or =system insists on one of the two.

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
        any) use_rustup "${1:-}" || use_system "${1:-}" || no_toolchain "${1:-}" ;;
        rustup) use_rustup "${1:-}" || no_toolchain "${1:-}" ;;
        system) use_system "${1:-}" || no_toolchain "${1:-}" ;;
        *) fail "KERNEL_TOOLCHAIN=$KERNEL_TOOLCHAIN: known are rustup and system" ;;
    esac
}

no_toolchain() {
    say "no Rust toolchain can build for ${1:-this machine}. Either of these gives one:"
    say "  rustup target add ${1:-...}"
    say "  apt-get install rustc-web cargo-web rust-web-src lld llvm" \
        "(on other releases: rustc cargo rust-src lld llvm)"
    exit 2
}

