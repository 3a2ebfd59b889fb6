"""Memory of another address space, lent to gdb without writing to the machine.

gdb reads memory under the current satp. While a thread of another process is selected, the pages
that its process maps otherwise are made sections of an object file that gdb is told to trust. The
file is in gdb's own memory, and goes with it. Writes would go to the process that satp has: they
are off meanwhile. Sources: gdb manual, nodes "Files" (add-symbol-file, trust-readonly-sections)
and "Observer Mode" (may-write-memory); ELF specification, chapter "Object Files".
"""

import os
import struct
from collections.abc import Sequence

import gdb

Pieces = Sequence[tuple[int, bytes]]
"""(virtual address, content), not overlapping."""

_SETTINGS = {"trust-readonly-sections": "on", "may-write-memory": "off"}
_NAMES = b"\0.rcdbg\0.shstrtab\0"
_HEADER, _SECTION = 64, 64
_EXEC, _RISCV, _PROGBITS, _STRTAB, _ALLOC = 2, 243, 1, 3, 2


def object_file(pieces: Pieces) -> bytes:
    """A 64-bit ELF file for RISC-V whose read-only sections are these pieces of memory."""
    body, sections = bytearray(_HEADER), [bytes(_SECTION)]
    contents = [(1, _PROGBITS, _ALLOC, start, data) for start, data in pieces]
    for name, kind, flags, start, data in [*contents, (8, _STRTAB, 0, 0, _NAMES)]:
        place = (name, kind, flags, start, len(body), len(data), 0, 0, 1, 0)
        sections.append(struct.pack("<IIQQQQIIQQ", *place))
        body += data
    header = (_EXEC, _RISCV, 1, 0, 0, len(body), 0, _HEADER, 0, 0, _SECTION, len(sections),
              len(sections) - 1)  # fmt: skip
    body[:_HEADER] = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", *header)
    return bytes(body) + b"".join(sections)


class LentMemory:
    """What gdb reads at present instead of the machine's memory."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._inside = 0
        self._before: dict[str, str] = {}

    def lend(self, pieces: Pieces) -> None:
        """From here on gdb reads these, and nothing that was lent before; it writes no memory."""
        self.take_back()
        if not pieces:
            return
        self._file = os.memfd_create("rcdbg-thread")
        self._inside = pieces[0][0]
        with os.fdopen(os.dup(self._file), "wb") as file:
            file.write(object_file(pieces))
        path = f"/proc/{os.getpid()}/fd/{self._file}"
        gdb.execute(f"add-symbol-file {path} -o 0", from_tty=False, to_string=True)
        for name, value in _SETTINGS.items():
            self._before[name] = "on" if gdb.parameter(name) else "off"
            gdb.execute(f"set {name} {value}", to_string=True)

    def suspend(self) -> None:
        """gdb reads and writes the machine's memory again: its settings are what they were."""
        while self._before:
            name, value = self._before.popitem()
            gdb.execute(f"set {name} {value}", to_string=True)

    def take_back(self) -> None:
        """The same, and gdb forgets the file."""
        self.suspend()
        if self._file is not None:
            file, self._file = self._file, None
            try:
                gdb.execute(f"remove-symbol-file -a {self._inside:#x}", to_string=True)
            except gdb.error:
                pass  # whoever loaded another ELF has removed it
            finally:
                os.close(file)
