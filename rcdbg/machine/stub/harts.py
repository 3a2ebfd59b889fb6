"""The harts behind a stub: QEMU's has a thread for each; one of them is what registers are read of.

Source: gdb manual, appendix "GDB Remote Serial Protocol", node "Packets" (`qfThreadInfo`, `H`).
"""

import contextlib
import re
from functools import cached_property

from rcdbg.errors import UsageError
from rcdbg.machine.stub import packets
from rcdbg.machine.stub.link import StubLink
from rcdbg.machine.stub.wire import StubError

MAX_HARTS = 4096
"""Far above QEMU's 512."""


class StubHarts:
    """The harts over `link`; `id_number` is the stub's number of mhartid, None if it has none.

    After a stop the chosen one is the hart that stopped.
    """

    def __init__(self, link: StubLink, id_number: int | None) -> None:
        self._link = link
        self._id_number = id_number

    @cached_property
    def threads(self) -> tuple[bytes, ...]:
        """The stub's names of them, in its order; empty from a stub that does not tell."""
        found: list[bytes] = []
        answer = self._link.exchange([b"qfThreadInfo"])[0]
        with self._link.wire.answering() as deadline:
            while answer[:1] == b"m" and len(found) < MAX_HARTS and not deadline.expired:
                found += re.findall(rb"[0-9a-fp.]+", answer[1:])
                answer = self._link.exchange([b"qsThreadInfo"])[0]
        return tuple(dict.fromkeys(found))

    @property
    def count(self) -> int:
        """How many there are, as far as the stub tells."""
        return max(1, len(self.threads))

    def choose(self, hart: int) -> None:
        """Read registers of the hart with that mhartid from now on, until the next stop.

        Raises UsageError if there is none.
        """
        ids = self.ids()
        if hart not in ids:
            known = ", ".join(map(str, sorted(ids))) or "not known"
            raise UsageError(f"--hart {hart}: the harts of this machine are {known}")
        self._link.demand_ok(b"Hg" + ids[hart])

    def ids(self) -> dict[int, bytes]:
        """The stub's name of each by its mhartid. The first is the chosen one then."""
        found: dict[int, bytes] = {}
        if self._id_number is None:
            return found
        for thread in self.threads:
            with contextlib.suppress(StubError):
                self._link.demand_ok(b"Hg" + thread)
                answer = self._link.exchange(packets.ask_registers([self._id_number]))[0]
                number = packets.number(answer)
                if number is not None:
                    found[number] = thread
        if self.threads:
            self._link.demand_ok(b"Hg" + self.threads[0])
        return found
