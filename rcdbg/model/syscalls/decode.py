"""Registers of user code at an ecall, decoded: which call it is, and what its arguments point to.

The number is in a7, the arguments are in a0 to a5 (the ABI of Linux on RISC-V, which all these
kernels follow).
"""

from collections.abc import Mapping, Sequence

from rcdbg.errors import MemoryReadError
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.kernels.calls import MAX_ARGUMENTS, Parameter, SyscallShape
from rcdbg.model.syscalls.call import SHOWN_BYTES, Syscall, SyscallArgument, UserText
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.registers import MASK64

_A0, _A7 = 10, 17
_POINTERS = ("in", "out", "text", "pointer")
_MOST = SHOWN_BYTES + 1
"""Bytes that are read: one more than is shown, to know whether there are more."""
FROM_USER = 8
"""In scause: an ecall from U-mode (privileged spec, "Supervisor Cause Register")."""


def decode_syscall(
    known: Mapping[int, SyscallShape],
    x: Sequence[int],
    memory: VirtualMemory | None,
    *,
    has_a0: bool = True,
    is_next: bool = False,
    note: str = "",
) -> Syscall:
    """The call that these general registers ask for; never fails.

    `memory` is that of the user code, or None where it cannot be read, and `note` says why; without
    `has_a0` the register a0 is not the user's.
    """
    number = x[_A7] & MASK64
    words: tuple[int | None, ...] = tuple(w & MASK64 for w in x[_A0 : _A0 + MAX_ARGUMENTS])
    if not has_a0:
        words = (None, *words[1:])
    signature = known.get(number)
    if signature is None:
        return Syscall(number, None, (), words, is_next, note)
    by_name = {p.name: w for p, w in zip(signature.parameters, words, strict=False)}
    arguments = tuple(
        _argument(parameter, word, by_name, memory)
        for parameter, word in zip(signature.parameters, words, strict=False)
    )
    return Syscall(number, signature.name, arguments, words, is_next, note)


def _argument(
    parameter: Parameter,
    word: int | None,
    by_name: Mapping[str, int | None],
    memory: VirtualMemory | None,
) -> SyscallArgument:
    if parameter.kind not in _POINTERS or memory is None or word is None:
        return SyscallArgument(parameter, word)
    physical = _physical(memory, word)
    text = None
    if parameter.kind == "in":
        length = by_name.get(parameter.length)
        text = None if length is None else read_text(memory, word, length)
    elif parameter.kind == "text":
        text = read_string(memory, word)
    return SyscallArgument(parameter, word, text, physical)


def _physical(memory: VirtualMemory, address: int) -> int | None:
    try:
        return memory.physical(address)
    except MemoryReadError:
        return None


def read_text(memory: VirtualMemory, address: int, size: int) -> UserText:
    """So many bytes of user memory, or the first ones; never fails."""
    data, note = _read(memory, address, min(size, _MOST))
    return UserText(data, size, _physical(memory, address), note)


def read_string(memory: VirtualMemory, address: int) -> UserText:
    """A text of user memory that ends with a NUL, or its beginning; never fails."""
    data, note = _read(memory, address, _MOST)
    text, end, _ = data.partition(b"\0")
    if end:
        return UserText(text, len(text), _physical(memory, address))
    return UserText(text, None, _physical(memory, address), note)


def _read(memory: VirtualMemory, address: int, size: int) -> tuple[bytes, str]:
    """The bytes, as far as they can be read, and why not all of them."""
    parts: list[bytes] = []
    while size > 0:
        length = min(size, PAGE_SIZE - address % PAGE_SIZE)
        try:
            parts.append(memory.read(address, length))
        except MemoryReadError as error:
            return b"".join(parts), str(error)
        address, size = (address + length) & MASK64, size - length
    return b"".join(parts), ""
