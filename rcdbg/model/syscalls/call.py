"""A system call as plain data, and in words."""

import codecs
from dataclasses import dataclass

from rcdbg.kernels.calls import Parameter

SHOWN_BYTES = 64
"""Of a text that is shown."""
_LARGE, _BYTE = 0x10000, 8
HEXADECIMAL = frozenset({"in", "out", "text", "pointer", "hex"})
"""Kinds of parameters that are shown so: addresses, and bits."""
_ESCAPES = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x22: '\\"', 0x5C: "\\\\", 0: "\\0"}


@dataclass(frozen=True, slots=True)
class UserText:
    """Bytes of user memory that an argument points to.

    `data` are the first ones; `size` is how many are meant, None of a text without an end.
    `physical` is where the first one lies. `note` tells what could not be read, and why.
    """

    data: bytes
    size: int | None
    physical: int | None
    note: str = ""

    @property
    def shown(self) -> str:
        """In quotes, escaped; `...` behind it where there is more."""
        return quoted(self.data, more=self.size is None or self.size > len(self.data))


@dataclass(frozen=True, slots=True)
class SyscallArgument:
    """An argument by its name; `text` is what it points to, if that goes into the kernel."""

    parameter: Parameter
    value: int | None
    """None where the register is not known."""
    text: UserText | None = None
    physical: int | None = None
    """Where the byte lies that a pointer points to, by the page table of its process."""
    area: tuple[int, int] | None = None
    """The area of its process that it points into, [start, end), where those are known."""

    @property
    def is_hexadecimal(self) -> bool:
        """Whether it is shown so."""
        return self.parameter.kind in HEXADECIMAL

    @property
    def number(self) -> int | None:
        """The number that is meant, with its sign."""
        return None if self.value is None else number_of(self.value, self.parameter)

    @property
    def shown(self) -> str:
        """The number as one reads it: that of a pointer in hexadecimal; `?` if it is not known."""
        return "?" if self.value is None else number_text(self.value, self.parameter)


@dataclass(frozen=True, slots=True)
class Syscall:
    """What user code asks for: the number in a7, and the arguments.

    `name` is None of a number that nobody has told of. `words` are a0 to a5 as they are;
    one that is not known is None.
    """

    number: int
    name: str | None
    arguments: tuple[SyscallArgument, ...]
    words: tuple[int | None, ...]
    is_next: bool = False
    """Whether the hart has not executed the ecall yet."""
    note: str = ""
    """What keeps the arguments from being followed, in words."""

    @property
    def shown(self) -> str:
        """`syscall 64 write(fd=1, buf=0x10af0, len=12) "Hello ..."`."""
        head = f"syscall {self.number if self.number < 1 << 63 else hex(self.number)}"
        return f"{head}, not known" if self.name is None else f"{head} {self.call}"

    @property
    def call(self) -> str:
        """The same without its number."""
        listed = ", ".join(f"{a.parameter.name}={a.shown}" for a in self.arguments)
        text = "".join(f" {a.text.shown}" for a in self.arguments if a.text and not a.text.note)
        return f"{self.name}({listed}){text}"


def number_text(value: int, parameter: Parameter | None = None) -> str:
    """A register as an argument: small numbers in decimal, with a sign if that makes them small."""
    if parameter is not None and parameter.kind in HEXADECIMAL:
        return hex(value)
    number = number_of(value, parameter)
    is_signed = parameter is not None and parameter.kind == "signed"
    if abs(number) < (1 << 31 if is_signed else _LARGE):
        return str(number)
    return hex(value)


def number_of(value: int, parameter: Parameter | None = None) -> int:
    """The number that a register is: as wide as the parameter; negative if that is small."""
    bits = 64 if parameter is None else parameter.bits
    value &= (1 << bits) - 1
    if (value >= (1 << bits) - _LARGE and bits > _BYTE) or (
        parameter is not None and parameter.kind == "signed" and value >> (bits - 1)
    ):
        return value - (1 << bits)
    return value


def quoted(data: bytes, *, more: bool = False) -> str:
    """Bytes as a text in quotes: UTF-8 as such, what cannot be shown escaped."""
    is_cut = more or len(data) > SHOWN_BYTES
    # A character that the cut goes through is left out.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(data[:SHOWN_BYTES], final=not is_cut)
    parts = []
    for letter in text:
        code = ord(letter)
        if 0xDC80 <= code <= 0xDCFF:
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif code in _ESCAPES:
            parts.append(_ESCAPES[code])
        else:
            parts.append(letter if letter.isprintable() else _escaped(code))
    return f'"{"".join(parts)}"' + "..." * is_cut


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"
