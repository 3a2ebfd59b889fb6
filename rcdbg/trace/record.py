"""Recorded events, and a whole trace of them: what recorders write and everything else reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rcdbg.trace.moment import TIMEBASE_HZ, Clock

FORMAT = 1
"""The version of the file format; a newer one is refused in words."""

BY_USER, COUNTED, EVENT_SEEN = (
    "Ctrl-C",
    "as many events as were asked for",
    "the event that was waited for",
)
"""Why a recording ended before the machine did; see also `rcdbg.trace.moment`."""


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """Something that the kernel did.

    `seq` counts from 1 without a gap; `ticks` is guest time in ticks of the timebase and never goes
    back; `instructions` how many the hart had executed, where the run is deterministic; `thread`
    the id of the thread that did it or was interrupted by it, None for none (boot code, firmware);
    `pc` where it was seen, `place` the same as `symbol+offset`. `fields` are those of its kind (see
    `rcdbg.trace.kinds`), values that JSON knows; `marks` say what is not certain, in words.
    """

    seq: int
    kind: str
    ticks: int | None
    instructions: int | None
    hart: int
    thread: int | None
    pc: int
    place: str
    fields: Mapping[str, Any]
    marks: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The event as one JSON object, with the fields of its kind beside the common ones."""
        common: dict[str, Any] = {"seq": self.seq, "kind": self.kind, "ticks": self.ticks}
        if self.instructions is not None:
            common["instructions"] = self.instructions
        common |= {"hart": self.hart, "thread": self.thread, "pc": self.pc, "place": self.place}
        common["fields"] = dict(self.fields)
        if self.marks:
            common["marks"] = list(self.marks)
        return common


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """What a trace was made of: enough to read it later, nothing that differs from run to run."""

    backend: str
    clock: Clock
    deterministic: bool
    kinds: tuple[str, ...]
    hits: tuple[str, ...] = ()
    kernel: str = ""
    """The ELF's file name, without its folder."""
    build_id: str = ""
    append: str = ""
    timebase_hz: int | None = TIMEBASE_HZ
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Kinds that were asked for and cannot be seen in this kernel: why."""

    @property
    def disturbed(self) -> str:
        """In words, what recording has changed of what it measures; empty where nothing."""
        if self.deterministic:
            return ""
        return (
            "recorded in real time: the recording itself slows the kernel down, so that times are "
            "longer and timer interrupts more than without it; --deterministic tells its own"
        )


@dataclass(frozen=True, slots=True)
class TraceEnd:
    """How a recording ended: `why` in words; events lost; repeats that were taken out."""

    why: str
    events: int
    lost: int = 0
    repeats: int = 0
    exit_status: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole recording. `end` is None for a file that was cut off."""

    header: TraceHeader
    events: tuple[TraceEvent, ...]
    end: TraceEnd | None = None

    def of(self, *kinds: str) -> Iterator[TraceEvent]:
        """The events of these kinds."""
        return (event for event in self.events if event.kind in kinds)
