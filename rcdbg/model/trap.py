"""The hart's registers, and the Context of the trap that is being handled."""

from rcdbg.model.containers import base_name, dig
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Context, Hart, Problem, Stack, Trap
from rcdbg.model.value import DecodeError, Value
from rcdbg.riscv import causes, csr
from rcdbg.riscv.registers import PRIVILEGES, SUPERVISOR_CSRS, unsigned

_MACHINE_MODE = 3
_EBREAK_LENGTHS = (0, 2, 4)
_CONTEXT_FIELDS = ("x", "sstatus", "sepc")


def read_hart(kernel: Kernel) -> Hart:
    """The registers as they stand; never fails."""
    registers = kernel.registers
    names = (*SUPERVISOR_CSRS, "time")  # the latter only where a target has a way to read it
    csrs = csr.decode_all(
        {name: unsigned(registers.csrs[name]) for name in names if name in registers.csrs}
    )
    note = ""
    if registers.privilege == _MACHINE_MODE:
        note = "in M-mode: the firmware runs, not the kernel"
    elif registers.privilege not in PRIVILEGES and registers.privilege is not None:
        note = f"privilege {registers.privilege} is reserved"
    x = tuple(unsigned(v) for v in registers.x)
    return Hart(x, kernel.place(unsigned(registers.pc)), registers.privilege, csrs, note)


def decode_context(kernel: Kernel, value: Value) -> Context:
    """The Context that `value` is; raises DecodeError if its type or memory does not fit."""
    words = value["x"].raw()
    x = tuple(int.from_bytes(words[i : i + 8], "little") for i in range(0, len(words), 8))
    if len(x) != 32:
        raise DecodeError(value.path, f"{len(x)} registers instead of 32")
    sstatus = csr.decode("sstatus", value["sstatus"].scalar())
    problems = tuple(Problem(f"{value.path}.sstatus", why) for why in sstatus.reserved)
    sepc = kernel.place(value["sepc"].scalar())
    if sepc.address % 2:
        problems += (Problem(f"{value.path}.sepc", "an odd address is no instruction"),)
    return Context(value.address, x, sstatus, sepc, kernel.place(x[1]), problems)


def context_at(kernel: Kernel, address: int) -> Context:
    """The Context at a virtual address; raises DecodeError."""
    type_id = kernel.struct_named(kernel.profile.context, _CONTEXT_FIELDS)
    return decode_context(kernel, Value(kernel.space, type_id, address, "Context"))


def kernel_stack(kernel: Kernel) -> Stack:
    """The stack on which traps are handled; raises DecodeError if the kernel has no such static."""
    static = kernel.static_holding(kernel.profile.kernel_stack)
    value = static
    if base_name(static.type) != kernel.profile.kernel_stack:
        value = dig(static, "data")
    return Stack(value.address, value.address + value.type.size)


def read_trap(kernel: Kernel) -> Trap:
    """The trap that is being handled, as far as the stack and the registers tell; never fails."""
    try:
        return _read_trap(kernel)
    except DecodeError as error:
        return Trap(None, None, "not known", (error.problem,))


def _read_trap(kernel: Kernel) -> Trap:
    profile, pc = kernel.profile, unsigned(kernel.registers.pc)
    cause_csr = kernel.csr("scause")
    cause = None if cause_csr is None else causes.describe(cause_csr)
    if kernel.registers.privilege == _MACHINE_MODE:
        return Trap(None, None, "the firmware runs, not the kernel")
    if pc == kernel.symbol(profile.trap_entry):
        return Trap(None, cause, "entering a trap: the registers are not saved yet")
    stack = kernel_stack(kernel)
    sp = unsigned(kernel.registers.sp)
    type_id = kernel.struct_named(profile.context, _CONTEXT_FIELDS)
    size = kernel.image.types.type(type_id).size
    address = stack.end - size
    if not stack.start <= sp <= address:
        return Trap(None, None, "no trap is being handled")
    context = decode_context(kernel, Value(kernel.space, type_id, address, "trap Context"))
    sepc = kernel.csr("sepc")
    if sepc is None or context.sepc.address - sepc in _EBREAK_LENGTHS:
        return Trap(context, cause, "handling a trap", context.problems)
    note = "leaving a trap: this Context is restored next, not the one that was interrupted"
    return Trap(context, None, note, context.problems)
