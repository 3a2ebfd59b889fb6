"""General-purpose registers and privilege levels by name."""

ABI_NAMES: tuple[str, ...] = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{i}" for i in range(8)),
    *(f"s{i}" for i in range(2, 12)),
    *(f"t{i}" for i in range(3, 7)),
)
"""ABI name of x0..x31 (RISC-V calling convention)."""

GDB_NAMES: tuple[str, ...] = tuple("fp" if name == "s0" else name for name in ABI_NAMES)
"""The names of x0..x31 in gdb and in QEMU's stub, which call x8 by its other one."""

PRIVILEGES: dict[int, str] = {0: "U", 1: "S", 3: "M"}
"""Privilege level encodings (privileged spec, table 1.1)."""

MASK64 = (1 << 64) - 1


def unsigned(value: int) -> int:
    """The 64-bit register value of an int that may have come as a negative one."""
    return value & MASK64
