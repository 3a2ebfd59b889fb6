"""The rules of a story look at one moment of the kernel: what one has decoded, the next one has."""

from collections import deque
from pathlib import Path
from typing import Any, cast

import pytest

from rcdbg.guest.snapshot import read_snapshot
from rcdbg.image.elf import image_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.threads.processor import read_processor
from rcdbg.trace.story.invariants import SHIPPED, invariant
from rcdbg.trace.story.story import Story, StoryError, _check
from tests.unit.model.test_remember import SNAPSHOTS, calls
from tests.unit.trace.events import event

OWN = Path(SNAPSHOTS[0])


class Standing:
    """A machine that stands: the kernel of a snapshot, taken anew each time."""

    def __init__(self) -> None:
        self.asked = 0
        self._snapshot = read_snapshot(OWN)
        self._image = image_of(self._snapshot.elf, OWN)

    def kernel(self) -> Kernel:
        self.asked += 1
        return Kernel.now(self._image, self._snapshot.target)


def told(*rules: Any) -> tuple[Story, Standing]:
    machine: Any = Standing()
    nothing = cast(Any, None)
    story = Story(nothing, machine, nothing, nothing, nothing, deque(), nothing, list(rules))
    return story, machine


def test_all_rules_at_an_event_share_what_they_decode() -> None:
    story, machine = told(*SHIPPED.values())
    with calls(read_processor, read_frame_owners) as counted:
        _check(story, event("switch"))
    assert counted == {"read_processor": 1, "read_frame_owners": 1}
    assert machine.asked == 1
    _check(story, event("switch"))
    assert machine.asked == 2, "the next event is another moment"
    assert story.kernel() is not story.kernel(), "and what stands may be changed between two looks"


def test_a_broken_rule_ends_the_moment_too() -> None:
    seen = []

    @invariant
    def never(run: Story) -> str:
        seen.append((run.kernel(), run.kernel(), run.state()))
        return "never holds"

    story, _ = told(never)
    with pytest.raises(StoryError, match="never is broken: never holds"):
        _check(story, event("switch"))
    ((first, second, state),) = seen
    assert first is second
    assert state.processor is read_processor(first)
    assert story.kernel() is not first
