"""Concepts of a description that are about user code: what it asks for, and the way to it."""

from dataclasses import dataclass

from rcdbg.kernels.entries import NO_NAMES, NO_PATHS, NO_ROOTS, Names, Paths, Roots


@dataclass(frozen=True, slots=True)
class PortalConcept:
    """What code in a page of every table exchanges registers with, on the way to user code, where
    the trap's exit leads to it."""

    type: Names = NO_NAMES
    """a0 has its address at the exit."""
    a0: Paths = NO_PATHS
    """The user's a0, from a trap on too."""
    sepc: Paths = NO_PATHS
    satp: Paths = NO_PATHS
    """The user's, while the kernel runs."""


@dataclass(frozen=True, slots=True)
class SyscallsConcept:
    """What user code may ask for: the number in a7, arguments from a0 on, the result in a0."""

    table: Names = NO_NAMES
    """Tables of numbers in `rcdbg/kernels/calls.toml`; of one that several have the first."""
    calls: Names = NO_NAMES
    """Those that are others, or more, as `64 write(fd, buf: in[len], len)`."""
    functions: Roots = NO_ROOTS
    """The functions that handle them, by number, where a static lists them."""
    prefix: Names = NO_NAMES
    """What the names of such functions begin with, before that of the call."""


NO_PORTAL, NO_SYSCALLS = PortalConcept(), SyscallsConcept()
"""Of a kernel of which nothing is said of these."""
