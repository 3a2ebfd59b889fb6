"""What has to hold at every event of a story, and rules of that kind that come with rcdbg.

    @invariant
    def at_most_four_threads(run):
        assert len(run.state().processor.threads) <= 4

An invariant gets the run, which stands at an event. It fails by an exception (`assert`), or by
returning what is wrong: a text, Problems, or a list of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, overload

from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.state import Problem
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.rules import broken_invariants, parked_problems
from rcdbg.trace.kinds import parse_kinds
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.story.story import Story

Check = Callable[[Story], Any]

_MAX_TOLD = 4


@dataclass(frozen=True, slots=True)
class Invariant:
    """A named rule, and the kinds of events after which it is looked at (None: all)."""

    name: str
    check: Check
    kinds: tuple[str, ...] | None = None

    def broken(self, run: Story, event: TraceEvent) -> str | None:
        """What is wrong now, in words; None if it holds, or is not to be looked at now."""
        if self.kinds is not None and event.kind not in self.kinds:
            return None
        try:
            found = self.check(run)
        except AssertionError as error:
            # Of pytest's explanation of an assertion, what the user has written himself.
            said = str(error).splitlines()
            return said[0] if said else "its assertion failed"
        return _words(found)


@overload
def invariant(check: Check) -> Invariant: ...
@overload
def invariant(*, at: str) -> Callable[[Check], Invariant]: ...


def invariant(check: Check | None = None, *, at: str | None = None) -> Any:
    """Make a function an invariant; `at` names the events that matter, as in "switch,unmap".

    Raises UsageError for a kind of event that does not exist.
    """
    kinds = None if at is None else parse_kinds(at)

    def make(function: Check) -> Invariant:
        return Invariant(function.__name__, function, kinds)

    return make if check is None else make(check)


def _words(found: Any) -> str | None:
    if not found or found is True:
        return None
    if isinstance(found, str | Problem):
        found = (found,)
    if not isinstance(found, Iterable):
        return str(found)
    said = [f"{p.where} {p.why}" if isinstance(p, Problem) else str(p) for p in found]
    rest = len(said) - _MAX_TOLD
    return "; ".join(said[:_MAX_TOLD]) + (f"; and {rest} more" if rest > 0 else "")


@invariant
def threads_are_consistent(run: Story) -> Iterable[Problem]:
    """Each thread is in one place, with a Context if it is to go on, and without if it runs."""
    kernel = run.kernel()
    return broken_invariants(kernel, read_processor(kernel))


@invariant(at="threads")
def parked_threads_can_go_on(run: Story) -> Iterable[Problem]:
    """Parked Contexts have their sp in the thread's stack, and an sepc that is executable."""
    kernel = run.kernel()
    processor = read_processor(kernel)
    if processor.locked:
        return ()
    own = [t for t in (*processor.ready, *processor.sleeping) if not t.is_user]
    return [problem for thread in own for problem in parked_problems(kernel, thread)]


@invariant(at="threads,frames,paging")
def no_frame_has_two_owners(run: Story) -> Iterable[str]:
    """No frame is claimed twice, and none that is free is in use."""
    kernel = run.kernel()
    if read_frames(kernel).locked:
        return ()
    owners = read_frame_owners(kernel)
    return [f"frame {c.frame:#x} {c.kind}: {', '.join(c.claims)}" for c in owners.conflicts]


SHIPPED: dict[str, Invariant] = {
    rule.name: rule
    for rule in (threads_are_consistent, parked_threads_can_go_on, no_frame_has_two_owners)
}
"""The rules that come with rcdbg, by name."""
