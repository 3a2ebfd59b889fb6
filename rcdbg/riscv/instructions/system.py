"""Instructions about the machine itself, in words: CSRs, fences, ways into and out of traps."""

from rcdbg.riscv.instructions.csr_names import csr_name
from rcdbg.riscv.registers import ABI_NAMES

_PLAIN = {
    0x000: "ecall",
    0x001: "ebreak",
    0x002: "uret",
    0x102: "sret",
    0x302: "mret",
    0x7B2: "dret",
    0x105: "wfi",
}
"""By the upper twelve bits, with all registers 0."""
_CSR = {1: "csrrw", 2: "csrrs", 3: "csrrc", 5: "csrrwi", 6: "csrrsi", 7: "csrrci"}
_COUNTERS = {0xC00: "rdcycle", 0xC01: "rdtime", 0xC02: "rdinstret"}
_SFENCE_VMA, _SINVAL_VMA = 0x09, 0x0B
_UNIMP = 0xC000_1073
"""Writing a counter that cannot be written: what compilers put where nothing should come."""
_ALL = 0xF
_HINTS = {0x8330_000F: "fence.tso", 0x0100_000F: "pause"}
"""Fences with a name: the second is what `core::hint::spin_loop` becomes (Zihintpause)."""


def system(word: int) -> tuple[str, str] | None:
    """Name and operands of an instruction with the opcode SYSTEM; None for one not known."""
    function = word >> 12 & 7
    if function:
        return _csr(word, function)
    if word >> 7 & 31:
        return None
    if word >> 25 in (_SFENCE_VMA, _SINVAL_VMA):
        return _about_addresses(word)
    name = None if word >> 15 & 31 else _PLAIN.get(word >> 20)
    return None if name is None else (name, "")


def _about_addresses(word: int) -> tuple[str, str]:
    va, asid = ABI_NAMES[word >> 15 & 31], ABI_NAMES[word >> 20 & 31]
    if word >> 25 == _SINVAL_VMA:
        return "sinval.vma", f"{va}, {asid}"
    if asid != "zero":
        return "sfence.vma", f"{va}, {asid}"
    return "sfence.vma", "" if va == "zero" else va


def _csr(word: int, function: int) -> tuple[str, str] | None:
    if word == _UNIMP:
        return "unimp", ""
    name, number = _CSR.get(function), word >> 20
    if name is None:
        return None
    rd, field = ABI_NAMES[word >> 7 & 31], word >> 15 & 31
    source = str(field) if function & 4 else ABI_NAMES[field]
    if name == "csrrs" and not field:
        if number in _COUNTERS:
            return _COUNTERS[number], rd
        return "csrr", f"{rd}, {csr_name(number)}"
    if rd == "zero":
        return name.replace("csrr", "csr", 1), f"{csr_name(number)}, {source}"
    return name, f"{rd}, {csr_name(number)}, {source}"


def fence(word: int) -> tuple[str, str] | None:
    """Name and operands of an instruction with the opcode MISC-MEM; None for one not known."""
    if word >> 12 & 7 == 1:
        return "fence.i", ""
    if word >> 12 & 7:
        return None
    if word in _HINTS:
        return _HINTS[word], ""
    before, after = word >> 24 & _ALL, word >> 20 & _ALL
    if before == after == _ALL:
        return "fence", ""
    return "fence", f"{_order(before)}, {_order(after)}"


def _order(bits: int) -> str:
    return "".join(c for c, bit in zip("iorw", (8, 4, 2, 1), strict=True) if bits & bit) or "0"
