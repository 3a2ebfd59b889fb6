"""What the rules are asked about: a kernel at one moment, and what is known of the time before."""

from collections.abc import Sequence
from dataclasses import dataclass

from rcdbg.doctor.looks import Looks
from rcdbg.model.kernel import Kernel
from rcdbg.trace.record import TraceEvent


class UndecidedError(Exception):
    """Raised by a rule that cannot say whether all is well: it is told of as not checked, and why.

    What it has yielded before stays.
    """


@dataclass(frozen=True, slots=True)
class Examination:
    """One moment of a kernel, and what was recorded before it, if anything was."""

    kernel: Kernel
    events: Sequence[TraceEvent] | None = None
    """In their order; None where nothing was recorded, which is not the same as none."""
    console: str | None = None
    """What the kernel has printed; None where that is not known."""
    looks: Looks | None = None
    """At a kernel that was let run on; None where it was looked at once."""
