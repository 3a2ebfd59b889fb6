"""The exceptions that rcdbg raises on purpose.

Each carries one line that a user can act on; the front door prints it and exits with status 2.
Nonsense in guest memory is not among them: decoders return it as a `Problem`.
"""

from rcdbg.escape import safe_lines


class RcdbgError(Exception):
    """Base of all of them: `str(error)` is the line to show, on any terminal.

    Whatever a guest or a file's name had in it is escaped here, whoever raises it.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(safe_lines(str(message)))


class ImageError(RcdbgError):
    """The ELF is missing, is not a RISC-V kernel, or lacks what was asked of it."""


class TargetError(RcdbgError):
    """The machine (or its saved state) does not answer."""


class MemoryReadError(TargetError):
    """Guest memory that cannot be read: outside RAM, or not mapped."""

    def __init__(self, address: int, size: int, why: str) -> None:
        super().__init__(f"cannot read {size} bytes at {address:#x}: {why}")
        self.address = address
        self.size = size
        self.why = why


class MachineError(RcdbgError):
    """QEMU, gdb or the toolchain is missing, refused to start, or went away."""


class OutputError(RcdbgError):
    """What was to be written cannot be: a full disk, no such folder, a place that is no file."""


class UsageError(RcdbgError):
    """What the user asked for makes no sense as it stands."""
