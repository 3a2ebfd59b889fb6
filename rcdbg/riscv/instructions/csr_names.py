"""The names of all CSRs by number: privileged spec, section 2.2 (tables 2.2 to 2.6).

Those that rcdbg also takes apart are rows of `rcdbg.riscv.csr`.
"""

from collections.abc import Mapping


def _row(first: int, *names: str) -> dict[int, str]:
    return dict(enumerate(names, first))


def _counted(first: int, prefix: str, low: int, end: int, suffix: str = "") -> dict[int, str]:
    return {first + i: f"{prefix}{low + i}{suffix}" for i in range(end - low)}


CSR_NAMES: Mapping[int, str] = {
    **_row(0x001, "fflags", "frm", "fcsr"),
    **_row(0x008, "vstart", "vxsat", "vxrm"),
    **_row(0x00F, "vcsr"),
    **_row(0x015, "seed"),
    **_row(0xC00, "cycle", "time", "instret"),
    **_counted(0xC03, "hpmcounter", 3, 32),
    **_row(0xC20, "vl", "vtype", "vlenb"),
    **_row(0x100, "sstatus"),
    **_row(0x104, "sie", "stvec", "scounteren"),
    **_row(0x10A, "senvcfg"),
    **_counted(0x10C, "sstateen", 0, 4),
    **_row(0x140, "sscratch", "sepc", "scause", "stval", "sip"),
    **_row(0x14D, "stimecmp"),
    **_row(0x180, "satp"),
    **_row(0x5A8, "scontext"),
    **_row(0xDA0, "scountovf"),
    **_row(0x200, "vsstatus"),
    **_row(0x204, "vsie", "vstvec"),
    **_row(0x240, "vsscratch", "vsepc", "vscause", "vstval", "vsip"),
    **_row(0x24D, "vstimecmp"),
    **_row(0x280, "vsatp"),
    **_row(0x600, "hstatus"),
    **_row(0x602, "hedeleg", "hideleg", "hie", "htimedelta", "hcounteren", "hgeie"),
    **_row(0x60A, "henvcfg"),
    **_counted(0x60C, "hstateen", 0, 4),
    **_row(0x643, "htval", "hip", "hvip"),
    **_row(0x64A, "htinst"),
    **_row(0x680, "hgatp"),
    **_row(0x6A8, "hcontext"),
    **_row(0xE12, "hgeip"),
    **_row(0xF11, "mvendorid", "marchid", "mimpid", "mhartid", "mconfigptr"),
    **_row(0x300, "mstatus", "misa", "medeleg", "mideleg", "mie", "mtvec", "mcounteren"),
    **_row(0x30A, "menvcfg"),
    **_counted(0x30C, "mstateen", 0, 4),
    **_row(0x320, "mcountinhibit"),
    **_counted(0x323, "mhpmevent", 3, 32),
    **_row(0x340, "mscratch", "mepc", "mcause", "mtval", "mip"),
    **_row(0x34A, "mtinst", "mtval2"),
    **_counted(0x3A0, "pmpcfg", 0, 16),
    **_counted(0x3B0, "pmpaddr", 0, 64),
    **_row(0x747, "mseccfg"),
    **_row(0x7A0, "tselect", "tdata1", "tdata2", "tdata3"),
    **_row(0x7A8, "mcontext"),
    **_row(0x7B0, "dcsr", "dpc", "dscratch0", "dscratch1"),
    **_row(0xB00, "mcycle"),
    **_row(0xB02, "minstret"),
    **_counted(0xB03, "mhpmcounter", 3, 32),
}
"""By number."""

PRIVILEGE_SHIFT = 8
"""Bits 9 and 8 of a CSR's number are the lowest privilege that may use it (section 2.1)."""


def csr_name(number: int) -> str:
    """The name of the CSR, or its number in hexadecimal for one that the specification has not."""
    return CSR_NAMES.get(number, f"{number:#x}")


def lowest_privilege(number: int) -> int:
    """The lowest privilege that may use the CSR: 0 U, 1 S, 2 hypervisor, 3 M."""
    return number >> PRIVILEGE_SHIFT & 3


def is_read_only(number: int) -> bool:
    """Whether writing it is an illegal instruction: bits 11 and 10 are both set."""
    return number >> 10 & 3 == 3
