"""What to record: one object from the command line, gdb or a test to the recorder."""

from dataclasses import dataclass

from rcdbg.trace.kinds import DEFAULT_KINDS
from rcdbg.trace.moment import Backend
from rcdbg.trace.until import Ending


@dataclass(frozen=True, slots=True)
class Wanted:
    """Kinds of events; functions whose entries are `hit` events; up to what, None for the end.

    `backend` is the way to record a machine of our own. Where the machine is somebody else's, as
    under gdb, there is but one way.
    """

    kinds: tuple[str, ...] = DEFAULT_KINDS
    hits: tuple[str, ...] = ()
    until: Ending | None = None
    backend: Backend = "auto"

    @property
    def limit_ticks(self) -> int | None:
        """Guest time, from the recording's start, at which it ends though nothing happens."""
        return None if self.until is None else self.until.after_ticks
