"""The threads and their scheduler."""

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.state import Place, Processor, Stack, Thread, Wait
from rcdbg.views import palette
from rcdbg.views.common import (
    address,
    count,
    guest,
    marked,
    note_line,
    ordinal,
    problem_line,
    short_size,
    size,
    source,
    styled,
    symbol,
)
from rcdbg.views.layout import Column, Fitted, Row, flow, listing, problem_lines

_STYLES = {
    "running": palette.RUNNING,
    "ready": palette.READY,
    "sleeping": palette.SLEEPING,
    "dead": palette.DEAD,
    "idle": palette.NOTE,
}
_RUNNING_MARK = "▸"
_ROOMY = 112
_WIDE = 140


def view(
    processor: Processor, previous: Processor | None = None, pc: Place | None = None
) -> RenderableType:
    """A table of the threads, the running one first; `pc` is where the hart stands now.

    `previous` marks threads whose status or place in the queue is new.
    """
    parts: list[RenderableType] = [note_line(processor.note)] if processor.note else []
    if processor.threads or processor.scheduler or not processor.note:
        parts.insert(0, Fitted(lambda width: _head(processor, width)))
    if processor.threads:
        parts.append(Fitted(lambda width: _table(processor, previous, pc, width)))
    return Group(*parts, *problem_lines(processor.problems))


def status(thread: Thread) -> str:
    """The status in words: `running`, `ready, next`, `ready, 2nd`, `sleeping`, ..."""
    if thread.status == "ready" and thread.position is not None:
        return "ready, next" if thread.position == 0 else f"ready, {ordinal(thread.position + 1)}"
    if thread.status == "dead" and thread.exit_code is not None:
        return f"dead, exit code {thread.exit_code}"
    return "status not known" if thread.status == "unknown" else thread.status


def _head(processor: Processor, width: int) -> Text:
    cells = [guest(processor.scheduler, palette.SYMBOL)]
    if processor.threads or not processor.unknown:
        cells.append(Text(count(len(processor.threads), "thread")))
    else:
        cells.append(styled("threads not known", palette.NOTE))
    if "current" in processor.unknown and processor.current is None:
        cells.append(styled("who runs is not known", palette.NOTE))
    elif processor.current is None:
        cells.append(styled("none is running", palette.NOTE))
    if processor.locked:
        cells.append(styled("locked now", palette.WARNING))
    return flow(cells, width)


def _table(
    processor: Processor, previous: Processor | None, pc: Place | None, width: int
) -> RenderableType:
    threads = processor.threads
    before = {t.address: (t.status, t.position) for t in previous.threads} if previous else None
    priorities = any(thread.priority is not None for thread in threads)
    roomy = width >= _ROOMY
    processes = any(thread.process_id not in (None, thread.id) for thread in threads)
    named = any(thread.name for thread in threads)
    columns = [Column("id"), *[Column("pid")] * processes, *[Column("name")] * named]
    columns += [Column("status"), Column("")]
    columns += [Column("stack"), Column("used")] if roomy else [Column("stack used", "stack")]
    users = width >= _WIDE and any(thread.user_stack is not None for thread in threads)
    columns += [Column("user stack")] * users
    deepest = any(thread.stack_deepest is not None for thread in threads)
    columns += [Column("deepest", "deepest")] * deepest
    columns += [Column("prio", "priority", right=True)] * priorities + [Column("at")] * roomy
    rows = []
    for thread in threads:
        now = thread.status, thread.position
        new = before is not None and before.get(thread.address) != now
        cells = [_name(thread)]
        cells += [Text("" if thread.process_id is None else str(thread.process_id))] * processes
        cells += [guest(thread.name)] * named + [_status(thread, new), _kind(thread)]
        cells += [_stack(thread), _used(thread, size)] if roomy else [_used(thread, short_size)]
        cells += [_span(thread.user_stack)] * users
        if deepest:
            cells.append(_deepest(thread, size if roomy else short_size))
        if priorities:
            cells.append(Text("" if thread.priority is None else str(thread.priority)))
        below = (*(Text("    ") + line for line in waits(thread)), *_problems(thread))
        if roomy:
            cells.append(_place(thread, pc, None))
        else:
            below = (Text("    ") + _place(thread, pc, width - 4), *below)
        rows.append(Row(tuple(cells), below))
    return listing(columns, rows, width)


def _name(thread: Thread) -> Text:
    running = thread.status == "running"
    text = styled(f"{_RUNNING_MARK} " if running else "  ", palette.RUNNING)
    if thread.id is None:
        return text.append_text(address(thread.address))
    return text.append(str(thread.id), palette.HEADING)


def status_text(thread: Thread) -> Text:
    """The status in words and in its colour."""
    return styled(status(thread), _STYLES.get(thread.status, palette.PROBLEM))


def waits(thread: Thread) -> tuple[Text, ...]:
    """A line for each thing that a thread waits for, or that this is not known."""
    if thread.waits is None:
        unknown = thread.status == "sleeping"
        return (styled("what it waits for is not known", palette.NOTE),) * unknown
    return tuple(_wait(wait) for wait in thread.waits)


def _wait(wait: Wait) -> Text:
    text = styled("waits for ", palette.LABEL).append_text(guest(wait.kind, palette.SYMBOL))
    if wait.what:
        text.append(" ").append_text(guest(wait.what))
    elif wait.address is not None:
        text.append(" at ").append_text(address(wait.address))
    if wait.until is not None:
        text.append(", until ").append_text(guest(f"{wait.unit} " * bool(wait.unit)))
        text.append(f"{wait.until:,}")
    return text


def _status(thread: Thread, new: bool) -> Text:
    text = marked(status_text(thread), new)
    if thread.locked:
        text.append(" locked", palette.WARNING)
    return text


def _kind(thread: Thread) -> Text:
    idle = " idle" * (thread.is_idle and thread.status != "idle")
    if thread.is_user is None:
        return styled(idle.strip(), palette.QUIET)
    return styled(("user" if thread.is_user else "kernel") + idle, palette.QUIET)


def _stack(thread: Thread) -> Text:
    return _span(thread.main_stack)


def _span(stack: Stack | None) -> Text:
    if stack is None:
        return styled("not known", palette.NOTE)
    return address(stack.start).append(f"..{stack.end:#x}", palette.ADDRESS)


def _used(thread: Thread, say: Callable[[int], str]) -> Text:
    stack, sp = thread.main_stack, thread.main_sp
    if stack is None:
        return Text("")
    total = say(stack.end - stack.start)
    if sp is None:
        return styled(f"of {total}", palette.QUIET)
    if thread.stack_used is None:
        return styled(f"sp {sp:#x} is outside", palette.PROBLEM)
    return Text(say(thread.stack_used)).append(f" of {total}", palette.QUIET)


def _deepest(thread: Thread, say: Callable[[int], str]) -> Text:
    return Text("" if thread.stack_deepest is None else say(thread.stack_deepest))


def _place(thread: Thread, pc: Place | None, room: int | None) -> Text:
    """Where a thread goes on, in `room` columns if it can be."""
    if thread.switch is not None:
        text = symbol(thread.switch.ra, room)
        if thread.context is None:
            return text
        text.append(", user code ", palette.QUIET)
        return text.append_text(symbol(thread.context.sepc, room))
    if thread.context is None:
        if thread.status == "dead" and thread.state:
            return Text("")
        if thread.status != "running":
            return styled("no Context", palette.NOTE)
        text = styled("on the hart", palette.NOTE)
        rest = None if room is None else room - len("on the hart: ")
        return text if pc is None else text.append(": ").append_text(symbol(pc, rest))
    place = thread.context.sepc
    line = source(place, None if room is None else room // 2)
    if line is None:
        return symbol(place, room)
    rest = None if room is None else room - 2 - line.cell_len
    return symbol(place, rest).append("  ").append_text(line)


def _problems(thread: Thread) -> tuple[Text, ...]:
    problems = thread.problems + (thread.context.problems if thread.context else ())
    return tuple(Text("    ") + problem_line(problem) for problem in problems)
