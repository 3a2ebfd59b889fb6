"""A story in files, as it stands: a snapshot of the kernel, and the trace of what it did."""

from pathlib import Path

from rcdbg.guest.snapshot_writer import write_snapshot
from rcdbg.trace.headers import make_header
from rcdbg.trace.record import Trace, TraceEnd, TraceHeader
from rcdbg.trace.run import machine_of
from rcdbg.trace.sinks.files import write_trace
from rcdbg.trace.story.story import Story


def header_of(story: Story) -> TraceHeader:
    """What its history is made of, as for a recording."""
    return make_header(
        story.image,
        story.course.watch.plan,
        backend="story",
        deterministic=story.machine.deterministic,
        append=story.boot.append,
    )


def save_snapshot(story: Story, path: Path) -> int:
    """Write a snapshot of the kernel as it stands; returns the file's size in bytes."""
    return write_snapshot(path, machine_of(story.machine), story.machine.target.read_phys)


def save_trace(story: Story, path: Path) -> None:
    """Write the events so far, for `rcdbg trace`; raises TraceFileError."""
    status = story.exit_status
    why = "the test failed" if status is None else "the machine was shut down"
    end = TraceEnd(why, len(story.history), exit_status=status)
    write_trace(path, Trace(header_of(story), tuple(story.history), end))
