"""What QEMU's human monitor says about the hart (`target/riscv/cpu.c`), parsed."""

import re


def parse_info_registers(text: str) -> dict[str, int]:
    """Values by name in the output of `info registers`; GPRs under both names, `x2` and `sp`.

    Unsigned 64-bit. For one hart; raises ValueError if there is no pc in it.
    """
    values: dict[str, int] = {}
    for names, value in re.findall(r"([a-z][\w/]*)\s+([0-9a-f]{16})\b", text):
        for name in names.split("/"):
            values[name] = int(value, 16)
    if "pc" not in values:
        raise ValueError(f"not the output of info registers: {text[:80]!r}")
    return values
