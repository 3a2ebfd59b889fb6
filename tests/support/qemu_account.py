"""What QEMU's human monitor says about the guest's memory, parsed: a second opinion.

Sources: QEMU's `target/riscv/monitor.c` (info mem) and `monitor/misc.c` (gva2gpa).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class MappedRun:
    """Virtual addresses from `va` on that are mapped to those from `pa` on, `size` bytes.

    `attributes` are QEMU's letters `rwxugad`, with `-` where one is not set.
    """

    va: int
    pa: int
    size: int
    attributes: str


def parse_info_mem(text: str) -> list[MappedRun]:
    """The mappings in the output of `info mem`, in order, merged; none while satp is bare.

    QEMU ends a run at each border of a page table (2 MiB), so neighbours are put together again.
    Raises ValueError if it is something else.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("No translation"):
        return []
    if len(lines) < 2 or not lines[0].startswith("vaddr"):
        raise ValueError(f"not the output of info mem: {text[:80]!r}")
    return merge_runs(_run(line) for line in lines[2:])


def merge_runs(runs: Iterable[MappedRun]) -> list[MappedRun]:
    """Runs that continue each other, virtually and physically with equal attributes, as one."""
    merged: list[MappedRun] = []
    for run in runs:
        last = merged[-1] if merged else None
        if last is not None and run == MappedRun(
            last.va + last.size, last.pa + last.size, run.size, last.attributes
        ):
            merged[-1] = replace(last, size=last.size + run.size)
        else:
            merged.append(run)
    return merged


def parse_gva2gpa(text: str) -> int | None:
    """The physical address in the output of `gva2gpa`, or None for "Unmapped".

    Raises ValueError if it is something else.
    """
    match = re.match(r"gpa: (?:0x)?([0-9a-f]+)", text)
    if match is not None:
        return int(match[1], 16)
    if text.startswith("Unmapped"):
        return None
    raise ValueError(f"not the output of gva2gpa: {text[:80]!r}")


def _run(line: str) -> MappedRun:
    try:
        va, pa, size, attributes = line.split()
        return MappedRun(int(va, 16), int(pa, 16), int(size, 16), attributes)
    except ValueError as error:
        raise ValueError(f"not a line of info mem: {line!r}") from error
