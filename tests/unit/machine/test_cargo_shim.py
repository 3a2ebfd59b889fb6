"""What of a cargo's and a rustc's arguments is changed while a build gets debug info."""

from pathlib import Path

from rcdbg.machine.host.cargo_shim import into, with_debug_info

FOLDER = Path("/w/os/target/rcdbg")
DEBUG_INFO = ["-Cdebuginfo=2", "-Cstrip=none"]


def test_a_build_goes_into_the_folder() -> None:
    assert into("/f", ["build", "--release"]) == ["build", "--target-dir", "/f", "--release"]
    assert into("/f", ["+nightly", "b"]) == ["+nightly", "b", "--target-dir", "/f"]
    asked = ["build", "--target-dir", "x", "-q", "--target-dir=y"]
    assert into("/f", asked) == ["build", "--target-dir", "/f", "-q"]
    asked = ["rustc", "--", "--target-dir", "x"]
    assert into("/f", asked) == ["rustc", "--target-dir", "/f", "--", "--target-dir", "x"]


def test_debug_info_is_for_what_is_linked_into_the_kernel() -> None:
    def asked(place: str, *more: str) -> list[str]:
        return ["--crate-name", "os", "--out-dir", str(FOLDER / place), *more]

    target = ("--target", "riscv64gc-unknown-none-elf")
    ours = asked("riscv64gc-unknown-none-elf/release/deps", *target)
    assert with_debug_info(FOLDER, ours) == [*ours, *DEBUG_INFO]
    script = asked("release/build/os-1234")
    assert with_debug_info(FOLDER, script) == script
    nested = asked("riscv64gc-unknown-none-elf/release/build/os-1/out/user/release/deps", *target)
    assert with_debug_info(FOLDER, nested) == nested
    elsewhere = asked("../debug/deps", *target)
    assert with_debug_info(FOLDER, elsewhere) == elsewhere
    assert with_debug_info(FOLDER, ["-vV"]) == ["-vV"]
