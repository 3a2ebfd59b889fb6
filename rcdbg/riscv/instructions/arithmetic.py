"""Instructions that only compute, in words: unprivileged spec, chapters "RV64I" and "M"."""

from rcdbg.riscv.instructions.fields import i_immediate
from rcdbg.riscv.registers import ABI_NAMES

_OP_IMM = {0: "addi", 2: "slti", 3: "sltiu", 4: "xori", 6: "ori", 7: "andi"}
_OPS = {
    0x00: ("add", "sll", "slt", "sltu", "xor", "srl", "or", "and"),
    0x01: ("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu"),
    0x20: ("sub", "", "", "", "", "sra", "", ""),
}
"""By the upper seven bits, then by function; nothing where there is none."""
_OPS_32 = {
    0x00: ("addw", "sllw", "", "", "", "srlw", "", ""),
    0x01: ("mulw", "", "", "", "divw", "divuw", "remw", "remuw"),
    0x20: ("subw", "", "", "", "", "sraw", "", ""),
}


def arithmetic(word: int) -> tuple[str, str] | None:
    """Name and operands of an instruction that computes; None for any other."""
    opcode = word & 0x7F
    if opcode == 0x13:
        return _immediate(word)
    if opcode == 0x1B:
        return _immediate_32(word)
    if opcode not in (0x33, 0x3B):
        return None
    table = _OPS if opcode == 0x33 else _OPS_32
    name = table.get(word >> 25, ("",) * 8)[word >> 12 & 7]
    if not name:
        return None
    rd, one, other = (ABI_NAMES[word >> low & 31] for low in (7, 15, 20))
    return _registers(name, rd, one, other)


def _registers(name: str, rd: str, one: str, other: str) -> tuple[str, str]:
    if one == "zero" and name in ("sub", "subw"):
        return name.replace("sub", "neg"), f"{rd}, {other}"
    if name == "sltu" and one == "zero":
        return "snez", f"{rd}, {other}"
    if name == "slt" and other == "zero":
        return "sltz", f"{rd}, {one}"
    if name == "slt" and one == "zero":
        return "sgtz", f"{rd}, {other}"
    return name, f"{rd}, {one}, {other}"


def _immediate(word: int) -> tuple[str, str] | None:
    function = word >> 12 & 7
    rd, source, constant = ABI_NAMES[word >> 7 & 31], ABI_NAMES[word >> 15 & 31], i_immediate(word)
    if function in (1, 5):
        return _shift(word, "", 6)
    name = _OP_IMM[function]
    if name == "addi" and source == "zero":
        return ("nop", "") if rd == "zero" and not constant else ("li", f"{rd}, {constant}")
    short = {("addi", 0): "mv", ("xori", -1): "not", ("sltiu", 1): "seqz"}
    if (name, constant) in short:
        return short[name, constant], f"{rd}, {source}"
    return name, f"{rd}, {source}, {constant}"


def _immediate_32(word: int) -> tuple[str, str] | None:
    if word >> 12 & 7:
        return _shift(word, "w", 5)
    rd, source, constant = ABI_NAMES[word >> 7 & 31], ABI_NAMES[word >> 15 & 31], i_immediate(word)
    if not constant:
        return "sext.w", f"{rd}, {source}"
    return "addiw", f"{rd}, {source}, {constant}"


def _shift(word: int, suffix: str, bits: int) -> tuple[str, str] | None:
    """A shift by a constant of that many bits; what stands above it says which one."""
    which = word >> 20 + bits
    names = {(1, 0): "slli", (5, 0): "srli", (5, 0x400 >> bits): "srai"}
    name = names.get((word >> 12 & 7, which))
    if name is None:
        return None
    rd, source = ABI_NAMES[word >> 7 & 31], ABI_NAMES[word >> 15 & 31]
    return name + suffix, f"{rd}, {source}, {word >> 20 & (1 << bits) - 1}"
