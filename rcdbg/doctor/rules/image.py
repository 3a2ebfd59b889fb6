"""Whether the code in memory is that of the ELF."""

from collections.abc import Iterator

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.errors import MemoryReadError
from rcdbg.image.elf import Section
from rcdbg.model.kernel import Kernel
from rcdbg.riscv import code

_CHUNK = 256
_LONGEST = 4
"""Bytes of an instruction."""
_BREAKPOINTS = (bytes.fromhex("73001000"), bytes.fromhex("0290"))  # ebreak, c.ebreak
_WFI, _NOP = (word.to_bytes(_LONGEST, "little") for word in (code.WFI, code.NOP))
_FACTS = 4
_OTHER = 0.25
"""A kernel of which more than this differs is another build."""


def code_changed(examination: Examination) -> Iterator[Finding]:
    """Instructions in memory that are not those of the ELF."""
    kernel = examination.kernel
    total = changed = 0
    places: list[tuple[int, bytes, bytes]] = []
    for section in kernel.image.sections:
        if section.size and "x" in section.flags and "a" in section.flags:
            found = list(_differences(kernel, section))
            total += section.size
            changed += sum(len(mine) for _, mine, _ in found)
            places += found
    if not places:
        return
    if changed > total * _OTHER:
        yield _another_build(kernel, changed, total)
        return
    at = kernel.place(places[0][0])
    what = f" in {at.symbol}" if at.symbol else ""
    facts = tuple(
        Fact(f"{address:#x}: {found.hex()} instead of {mine.hex()}", kernel.place(address),
             f"walk {address:#x}")
        for address, mine, found in places[:_FACTS]
    )  # fmt: skip
    yield Finding(
        "RC0902",
        Severity.ERROR,
        Confidence.CERTAIN,
        f"the kernel's code was overwritten{what}: {changed:,} bytes are not those of the ELF",
        facts,
        bucket_of("RC0902", at.symbol),
        at,
        cause="Something wrote through a wild pointer, behind the end of a buffer, or to a frame "
        "that the allocator handed out although the kernel lies in it.",
        help="Map .text without W, so that the first such write faults; look at where the frames "
        "of the allocator begin.",
        may_be_wrong_when="the kernel patches its own code, or a breakpoint stands there",
    )


def _another_build(kernel: Kernel, changed: int, total: int) -> Finding:
    share = 100 * changed // total
    return Finding(
        "RC0901",
        Severity.ERROR,
        Confidence.CERTAIN,
        f"{kernel.image.path.name} is not the kernel that runs: {share} % of its code differs",
        (Fact(f"{changed:,} of {total:,} bytes of code in memory are not those of the ELF"),),
        bucket_of("RC0901", "elf"),
        cause="The kernel was built again after QEMU was started, or another ELF was named: then "
        "symbols, lines and types are those of another program.",
        help="Start the machine again, or name the ELF that it was started from.",
        may_be_wrong_when="most of the kernel was overwritten",
    )


def _differences(kernel: Kernel, section: Section) -> Iterator[tuple[int, bytes, bytes]]:
    """Stretches that differ: the address, the ELF's bytes and those in memory."""
    start = kernel.image.physical(section.address)
    mine = kernel.image.read(section.address, section.size)
    if start is None or mine is None:
        return
    try:
        found = kernel.target.read_phys(start, section.size)
    except MemoryReadError:
        return
    if found == mine:
        return
    for base in range(0, len(mine), _CHUNK):
        one, two = mine[base : base + _CHUNK], found[base : base + _CHUNK]
        if one == two:
            continue
        for first, last in _runs(one, two):
            if not _is_a_debuggers(one, two, first, last):
                yield section.address + base + first, one[first:last], two[first:last]


def _runs(one: bytes, two: bytes) -> Iterator[tuple[int, int]]:
    """Where two texts differ: [first, last) of stretches with at least an instruction between."""
    first = last = -1
    for at, (mine, found) in enumerate(zip(one, two, strict=False)):
        if mine == found:
            continue
        if first >= 0 and at - last >= _LONGEST:
            yield first, last
            first = -1
        first = at if first < 0 else first
        last = at + 1
    if first >= 0:
        yield first, last


def _is_a_debuggers(mine: bytes, found: bytes, first: int, last: int) -> bool:
    """Whether all that differs is a breakpoint, or a `wfi` that a deterministic run passes over."""
    for put in (*_BREAKPOINTS, _NOP):
        for at in range(max(0, last - len(put)), first + 1):
            if found[at : at + len(put)] != put:
                continue
            if put is not _NOP or mine[at : at + len(put)] == _WFI:
                return True
    return False
