"""Page tables as they are at one moment, each walked once, whoever asks."""

from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.table_listing import Listing

MAX_KEPT = 1 << 18
"""Runs of tables that are remembered at a moment: more only while no other table is asked for."""


@once_a_moment
def _known(_kernel: Kernel) -> dict[tuple[int, int], Listing]:
    """The listings of this moment by mode and root: the ASID changes nothing."""
    return {}


def listing(kernel: Kernel, satp: Satp) -> Listing:
    """What the table that such a satp names maps at this moment."""
    known = _known(kernel)
    found = known.get((satp.mode, satp.ppn))
    if found is None:
        # A corrupt kernel may have a table of 2^18 runs for each of its processes.
        while sum(one.kept for one in known.values()) > MAX_KEPT:
            known.pop(next(iter(known)))
        found = known[satp.mode, satp.ppn] = Listing(kernel.target.read_phys, satp)
    return found
