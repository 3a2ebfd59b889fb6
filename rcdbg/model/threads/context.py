"""A trap Context in memory: the registers of interrupted code, saved by the trap's entry."""

from dataclasses import replace

from rcdbg.image.types import TypeId
from rcdbg.kernels.description import Paths
from rcdbg.kernels.recognise import handler_address
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Context, Problem, SwitchFrame
from rcdbg.model.values.parts import has, number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv import csr
from rcdbg.riscv.registers import unsigned

_REGISTERS = 32
_SAVED = 12
_WORD = 8


def context_type(kernel: Kernel) -> TypeId:
    """The type of a Context; raises DecodeError if the kernel has none."""
    names = kernel.description.context
    if not names.type:
        raise DecodeError("Context", kernel.not_described)
    wanted = (names.registers, names.sepc, *((names.sstatus,) if names.sstatus else ()))
    return kernel.struct_with(names.type, *wanted)


def offset_of_sepc(kernel: Kernel) -> int:
    """Bytes from the start of a Context to its sepc; raises DecodeError."""
    # No memory is read: of a Context at address 0 the part's address is its offset.
    return part(Value(kernel.space, context_type(kernel), 0, "Context"), _sepc(kernel)).address


def _sepc(kernel: Kernel) -> Paths:
    return kernel.description.context.sepc


def decode_context(kernel: Kernel, value: Value) -> Context:
    """The Context that `value` is; raises DecodeError if its type or memory does not fit."""
    names = kernel.description.context
    x = words_from(part(value, names.registers), _REGISTERS - 1)
    if len(x) == _REGISTERS - 1:
        x = (0, *x)  # x0 is not worth saving
    if len(x) != _REGISTERS:
        raise DecodeError(value.path, f"{len(x)} registers instead of {_REGISTERS}")
    sstatus = csr.decode("sstatus", number(value, names.sstatus)) if names.sstatus else None
    wrong = sstatus.reserved if sstatus is not None else ()
    problems = tuple(Problem(f"{value.path}.sstatus", why) for why in wrong)
    sepc = kernel.place(number(value, _sepc(kernel)))
    if sepc.address % 2:
        problems += (Problem(f"{value.path}.sepc", "an odd address is no instruction"),)
    return Context(value.address, x, sstatus, sepc, kernel.place(x[1]), problems)


def words_from(registers: Value, count: int) -> tuple[int, ...]:
    """An array of words; or, where it is a single one, as many of those from it on as that.

    Raises DecodeError.
    """
    size = registers.type.size
    words = registers.read(registers.address, 8 * count if size == _WORD else size)
    return tuple(int.from_bytes(words[i : i + 8], "little") for i in range(0, len(words), 8))


def decode_switch(kernel: Kernel, value: Value) -> SwitchFrame:
    """The registers of kernel code that gave the hart away; raises DecodeError."""
    names = kernel.description.switch
    saved: tuple[int, ...] = ()
    if has(value, names.saved):
        saved = words_from(part(value, names.saved), _SAVED)[:_SAVED]
    ra, sp = number(value, names.ra), number(value, names.sp)
    return SwitchFrame(value.address, kernel.place(ra), sp, saved)


def as_trapped(kernel: Kernel, context: Context) -> Context:
    """The Context of the trap that is being handled, of user code, saved outside of the stack.

    Some handlers save sepc themselves: at their first instruction it is still in the CSR alone.
    """
    handler, sepc = handler_address(kernel.image, kernel.description.trap), kernel.csr("sepc")
    if sepc is None or sepc == context.sepc.address or unsigned(kernel.registers.pc) != handler:
        return context
    return replace(context, sepc=kernel.place(sepc))


def context_at(kernel: Kernel, address: int, path: str = "Context") -> Context:
    """The Context at a virtual address; raises DecodeError."""
    return decode_context(kernel, Value(kernel.space, context_type(kernel), address, path))
