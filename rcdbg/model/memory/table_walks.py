"""Page tables as they are at one moment, each walked once, whoever asks."""

from collections.abc import Iterator
from itertools import chain, islice

from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.riscv import sv39

MAX_KEPT = 1 << 18
"""Runs of tables that are remembered at a moment: more only while no other table is asked for."""

_AT_ONCE = 512


class TableWalk:
    """What the table at a root maps, found as far as somebody asks and remembered from then on.

    Iterating gives its runs, and what is wrong with it, lowest bits of the address space first.
    """

    def __init__(self, read: sv39.ReadPhysical, root_ppn: int) -> None:
        self._read, self._root_ppn = read, root_ppn
        self._begin()

    def _begin(self) -> None:
        self._tables: list[sv39.Table] = []
        self._source = sv39.runs(self._read, self._root_ppn, self._tables)
        self._found: list[list[sv39.Run | sv39.Bad]] = []

    def __iter__(self) -> Iterator[sv39.Run | sv39.Bad]:
        return chain.from_iterable(self._pieces())

    def _pieces(self) -> Iterator[list[sv39.Run | sv39.Bad]]:
        at = 0
        while True:
            if at == len(self._found):
                try:
                    piece = list(islice(self._source, _AT_ONCE))
                except BaseException:
                    self._begin()  # a machine that is gone, or Ctrl-C: what is there is not all
                    raise
                if not piece:
                    return
                self._found.append(piece)
            yield self._found[at]
            at += 1

    @property
    def tables(self) -> tuple[sv39.Table, ...]:
        """The page tables that it consists of, the root first, also those that cannot be read."""
        for _ in self._pieces():
            pass
        return tuple(self._tables)

    @property
    def kept(self) -> int:
        """About how many runs are remembered."""
        return len(self._found) * _AT_ONCE


@once_a_moment
def _known(_kernel: Kernel) -> dict[int, TableWalk]:
    """The walks of this moment by root."""
    return {}


def walk_of(kernel: Kernel, root_ppn: int) -> TableWalk:
    """What the table in that frame maps at this moment."""
    known = _known(kernel)
    found = known.get(root_ppn)
    if found is None:
        # A corrupt kernel may have a table of 2^18 runs for each of its processes.
        while sum(walk.kept for walk in known.values()) > MAX_KEPT:
            known.pop(next(iter(known)))
        found = known[root_ppn] = TableWalk(kernel.target.read_phys, root_ppn)
    return found
