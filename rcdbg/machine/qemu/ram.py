"""Guest RAM as a piece of shared memory: read and written here while the guest runs."""

import contextlib
import fcntl
import mmap
import os
from dataclasses import dataclass

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Ram
from rcdbg.machine.qemu.board import RAM_BASE


@dataclass(frozen=True, slots=True)
class GuestRam:
    """RAM of `size` bytes at physical address `base`: a memfd, and a shared mapping of it.

    `memory` is read-write; the byte at physical address A is `memory[A - base]`. It stays valid
    after the guest has ended, until the machine is closed.
    """

    base: int
    size: int
    fd: int
    memory: mmap.mmap

    @property
    def extent(self) -> Ram:
        """The physical addresses."""
        return Ram(self.base, self.size)

    def close(self) -> None:
        """Give the memory back. Once only."""
        os.close(self.fd)
        # A reader may still hold a view of it: then the view's end is the mapping's end.
        with contextlib.suppress(BufferError):
            self.memory.close()


def create_ram(size: int) -> GuestRam:
    """Fresh zeroed RAM of `size` bytes; raises MachineError if the host has no room for it."""
    fd = os.memfd_create("rcdbg-guest-ram", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        # A shrunken file would kill whoever reads the mapping with SIGBUS.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return GuestRam(RAM_BASE, size, fd, mmap.mmap(fd, size))
    except (OSError, ValueError, OverflowError) as error:
        os.close(fd)
        raise MachineError(f"cannot allocate {size} bytes of guest memory: {error}") from error
