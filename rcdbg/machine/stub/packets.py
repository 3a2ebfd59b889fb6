"""Questions to a gdb stub, and what its answers mean, as functions of bytes.

Source: gdb manual, appendix "GDB Remote Serial Protocol", node "Packets".
"""

import struct
from collections.abc import Iterable

from rcdbg.guest.protocol import Registers
from rcdbg.machine.stub.dialect import HART_REGISTER, PRIVILEGE_REGISTER
from rcdbg.machine.stub.wire import StubError

GENERAL = b"g"
"""Asks for x0 to x31 and the pc."""
GUEST_ENDS = (b"W", b"X", b"")
"""How a stop reply begins when there is no guest any more; empty if the connection has ended."""
STOP_REPLIES = (b"T", b"S", b"W", b"X")

_GPRS = 32


def ask_registers(numbers: Iterable[int]) -> list[bytes]:
    """The questions for registers by the stub's numbers."""
    return [b"p%x" % number for number in numbers]


def set_register(number: int, value: int) -> bytes:
    """Sets a register of 64 bits."""
    return b"P%x=%b" % (number, value.to_bytes(8, "little").hex().encode())


def raw(answer: bytes) -> bytes | None:
    """The bytes of a hexadecimal answer; None for an error or nonsense."""
    try:
        return bytes.fromhex(answer.decode("ascii"))
    except ValueError:
        return None


def number(answer: bytes) -> int | None:
    """The value of a register; None for an error or nonsense."""
    data = raw(answer)
    return int.from_bytes(data, "little") if data else None


def hexadecimal(text: bytes) -> int | None:
    """A number as the protocol writes it, such as a signal's; None for nonsense."""
    try:
        return int(text, 16)
    except ValueError:
        return None


def registers(general: bytes, values: dict[str, int | None], harts: int = 1) -> Registers:
    """The answer to `GENERAL`, and others by their names; those that were refused are left out."""
    data = raw(general) or b""
    words = struct.unpack_from(f"<{len(data) // 8}Q", data)
    if len(words) <= _GPRS:
        raise StubError(f"the stub gave {len(words)} registers instead of 33")
    privilege = values.pop(PRIVILEGE_REGISTER, None)
    hart = values.pop(HART_REGISTER, None)
    return Registers(
        pc=words[_GPRS],
        x=words[:_GPRS],
        csrs={name: value for name, value in values.items() if value is not None},
        privilege=None if privilege is None else privilege & 3,
        hart=hart,
        harts=harts,
    )
