"""The instruction that trapped, with its operands' values, and what is wrong with it itself."""

from dataclasses import dataclass

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.model.faults.moment import FaultMoment
from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.code import code_at
from rcdbg.riscv.code import size_of
from rcdbg.riscv.instructions.csr_names import csr_name, is_read_only, lowest_privilege
from rcdbg.riscv.instructions.decode import Decoded, decode

_FS = 0x6000
"""sstatus.FS: 0 if floating-point instructions are illegal (privileged spec, section 3.1.6.6)."""
_FLOATING = (0x07, 0x27, 0x43, 0x47, 0x4B, 0x4F, 0x53)
_SYSTEM, _MRET = 0x73, 0x3020_0073
_LEVELS = {0: "U", 1: "S", 2: "HS", 3: "M"}


@dataclass(frozen=True, slots=True)
class TrappedInstruction:
    """An instruction that trapped; `address` of the memory that it uses, if registers are known."""

    decoded: Decoded
    address: int | None
    values: tuple[tuple[int, int], ...] = ()
    """Registers that its address comes from, with their values then."""


def trapped_instruction(kernel: Kernel, moment: FaultMoment) -> TrappedInstruction | None:
    """The instruction at sepc, as memory has it; None where it cannot be read."""
    code = code_bytes(kernel, moment)
    if code is None:
        return None
    decoded = decode(int.from_bytes(code, "little"), moment.sepc.address)
    memory, x = decoded.memory, moment.x
    if memory is None or x is None:
        return TrappedInstruction(decoded, None)
    return TrappedInstruction(decoded, memory.address(x), ((memory.base, x[memory.base]),))


def code_bytes(kernel: Kernel, moment: FaultMoment) -> bytes | None:
    """The bytes of the instruction at sepc; None where nothing can be read."""
    pc = moment.sepc.address
    memory = VirtualMemory(kernel.target, moment.satp.value, kernel.image.physical)
    try:
        first = memory.read(pc, 2)
        return first if size_of(first[0]) == 2 else first + memory.read(pc + 2, 2)
    except MemoryReadError:
        return None


def is_inside_an_instruction(kernel: Kernel, moment: FaultMoment) -> int | None:
    """The start of the instruction in whose middle sepc is, by the ELF's own code; else None."""
    image = kernel.image
    if moment.privilege == "U":
        code = code_at(kernel, moment.satp, moment.sepc.address)
        if code is None or code.image is None:
            return None
        image = code.image
    try:
        pc = moment.sepc.address if moment.privilege == "U" else kernel.linked(moment.sepc.address)
        symbol = image.symbols.covering(pc)
        if symbol is None or not symbol.size:
            return None
        content = image.read(symbol.address, pc - symbol.address + 4)
    except ImageError:
        return None
    at = symbol.address
    while content is not None and at < pc:
        length = size_of(content[at - symbol.address])
        if at + length > pc:
            return at
        at += length
    return None


def why_illegal(moment: FaultMoment, found: TrappedInstruction | None) -> str:
    """Why an instruction is illegal, in words; "" where that is not known."""
    if found is None:
        return "the code at sepc cannot be read"
    decoded, privilege = found.decoded, moment.privilege
    if not decoded.encoding:
        if moment.sepc.symbol is not None:
            return "code that is never to be reached, or memory that was cleared"
        return "all bits are 0: nothing was loaded there, or it is no code"
    if decoded.csr is not None:
        return _about_csr(decoded, moment)
    if decoded.encoding == _MRET:
        return f"mret is for M-mode, and the hart was in {privilege or 'a lower mode'}"
    if decoded.name in ("sret", "sfence.vma", "wfi") and privilege == "U":
        return f"{decoded.name} is for S-mode, and the hart was in U-mode"
    if decoded.name == "unimp":
        return "the compiler puts it where execution never should come"
    opcode = decoded.encoding & 0x7F
    is_floating = opcode in _FLOATING or decoded.name in ("flw", "fld", "fsw", "fsd")
    if is_floating and moment.sstatus is not None and not moment.sstatus & _FS:
        return "it is about floating point, and sstatus.FS is off"
    if not decoded.known and opcode not in (*_FLOATING, 0x57):
        return "no instruction of RV64IMAC has these bits: it may be data, or the middle of one"
    return ""


def _about_csr(decoded: Decoded, moment: FaultMoment) -> str:
    number = decoded.csr or 0
    lowest = lowest_privilege(number)
    level = {"U": 0, "S": 1}.get(moment.privilege or "")
    if level is not None and level < lowest:
        return (
            f"{csr_name(number)} is for {_LEVELS[lowest]}-mode, "
            f"and the hart was in {moment.privilege}-mode"
        )
    writes = decoded.encoding >> 12 & 3 == 1 or decoded.encoding >> 15 & 31
    if is_read_only(number) and writes:
        return f"{csr_name(number)} cannot be written"
    return f"this hart has no {csr_name(number)}, or it is not allowed at this moment"
