"""Whether a kernel is in the middle of an operation: then what looks broken may be half done.

A stop can be anywhere. A rule about a structure says nothing while its lock is held; and where no
lock tells, it is not certain unless nothing of the kernel runs.
"""

from rcdbg.doctor.finding import Confidence
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.model.tasks.locks import read_locks

_USER = 0


def in_user_code(kernel: Kernel) -> bool:
    """Whether the hart runs a program: then no operation of the kernel is under way on it."""
    return kernel.registers.privilege == _USER


@once_a_moment
def is_settled(kernel: Kernel) -> bool:
    """Whether the kernel is between two operations, as far as its locks and cells tell."""
    if in_user_code(kernel):
        return True
    locks = read_locks(kernel)
    return bool(locks.count) and not locks.taken


def as_sure_as(kernel: Kernel) -> Confidence:
    """How sure a rule about a whole structure can be at this moment."""
    return Confidence.CERTAIN if is_settled(kernel) else Confidence.LIKELY
