"""A trap Context in memory: the registers of interrupted code, saved by the trap's entry."""

from rcdbg.image.types import StructType, TypeId
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Context, Problem
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv import csr


def context_type(kernel: Kernel) -> TypeId:
    """The type of a Context; raises DecodeError if the kernel has none."""
    profile = kernel.profile
    fields = (profile.context_x, profile.context_sstatus, profile.context_sepc)
    return kernel.struct_named(profile.context, fields)


def offset_of_sepc(kernel: Kernel) -> int:
    """Bytes from the start of a Context to its sepc; raises DecodeError."""
    kind = kernel.image.types.type(context_type(kernel))
    member = kind.member(kernel.profile.context_sepc) if isinstance(kind, StructType) else None
    if member is None:
        raise DecodeError(kernel.profile.context, f"no field {kernel.profile.context_sepc!r}")
    return member.offset


def decode_context(kernel: Kernel, value: Value) -> Context:
    """The Context that `value` is; raises DecodeError if its type or memory does not fit."""
    profile = kernel.profile
    words = value[profile.context_x].raw()
    x = tuple(int.from_bytes(words[i : i + 8], "little") for i in range(0, len(words), 8))
    if len(x) != 32:
        raise DecodeError(value.path, f"{len(x)} registers instead of 32")
    sstatus = csr.decode("sstatus", value[profile.context_sstatus].scalar())
    problems = tuple(Problem(f"{value.path}.sstatus", why) for why in sstatus.reserved)
    sepc = kernel.place(value[profile.context_sepc].scalar())
    if sepc.address % 2:
        problems += (Problem(f"{value.path}.sepc", "an odd address is no instruction"),)
    return Context(value.address, x, sstatus, sepc, kernel.place(x[1]), problems)


def context_at(kernel: Kernel, address: int, path: str = "Context") -> Context:
    """The Context at a virtual address; raises DecodeError."""
    return decode_context(kernel, Value(kernel.space, context_type(kernel), address, path))
