"""A trap Context in memory: the registers of interrupted code, saved by the trap's entry."""

from rcdbg.image.types import TypeId
from rcdbg.kernels.description import Paths
from rcdbg.model.kernel import NOT_DESCRIBED, Kernel
from rcdbg.model.state import Context, Problem
from rcdbg.model.values.parts import number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv import csr

_REGISTERS = 32


def context_type(kernel: Kernel) -> TypeId:
    """The type of a Context; raises DecodeError if the kernel has none."""
    names = kernel.description.context
    if not names.type:
        raise DecodeError("Context", NOT_DESCRIBED)
    return kernel.struct_with(names.type, names.registers, names.sstatus, names.sepc)


def offset_of_sepc(kernel: Kernel) -> int:
    """Bytes from the start of a Context to its sepc; raises DecodeError."""
    # No memory is read: of a Context at address 0 the part's address is its offset.
    return part(Value(kernel.space, context_type(kernel), 0, "Context"), _sepc(kernel)).address


def _sepc(kernel: Kernel) -> Paths:
    return kernel.description.context.sepc


def decode_context(kernel: Kernel, value: Value) -> Context:
    """The Context that `value` is; raises DecodeError if its type or memory does not fit."""
    names = kernel.description.context
    words = part(value, names.registers).raw()
    x = tuple(int.from_bytes(words[i : i + 8], "little") for i in range(0, len(words), 8))
    if len(x) == _REGISTERS - 1:
        x = (0, *x)  # x0 is not worth saving
    if len(x) != _REGISTERS:
        raise DecodeError(value.path, f"{len(x)} registers instead of {_REGISTERS}")
    sstatus = csr.decode("sstatus", number(value, names.sstatus))
    problems = tuple(Problem(f"{value.path}.sstatus", why) for why in sstatus.reserved)
    sepc = kernel.place(number(value, _sepc(kernel)))
    if sepc.address % 2:
        problems += (Problem(f"{value.path}.sepc", "an odd address is no instruction"),)
    return Context(value.address, x, sstatus, sepc, kernel.place(x[1]), problems)


def context_at(kernel: Kernel, address: int, path: str = "Context") -> Context:
    """The Context at a virtual address; raises DecodeError."""
    return decode_context(kernel, Value(kernel.space, context_type(kernel), address, path))
