"""Call stacks: of the hart, and of every thread."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.state import Backtrace, Stack, StackFrame, Thread
from rcdbg.model.threads.call_stacks import CallStack, CallStacks, HartStack
from rcdbg.views import palette
from rcdbg.views.common import address, bound, count, note_line, size, source, styled, symbol
from rcdbg.views.hart import context
from rcdbg.views.layout import Fitted, flow, problem_lines
from rcdbg.views.threads import threads

_MOST = 48
"""Stack frames that are shown of one call stack; the middle of a longer one is left out."""

_LAST = 8
_INDENT = "  "


def view_hart(stack: HartStack) -> RenderableType:
    """The hart's call stack, with a heading where a trap interrupted something."""
    parts: list[RenderableType] = [note_line(stack.trap.note)]
    if stack.trap.cause:
        parts = [note_line(f"{stack.trap.note}: {stack.trap.cause}")]
    return Group(*parts, view(stack.backtrace))


def view_all(stacks: CallStacks) -> RenderableType:
    """The threads, then each with its call stack."""
    parts: list[RenderableType] = [threads.view(stacks.processor)]
    for stack in stacks.stacks:
        parts += [Text(""), _heading(stack.thread), _stack(stack)]
    return Group(*parts)


def view_thread(stack: CallStack) -> RenderableType:
    """One thread: what it does, its stack, its Context, its call stack."""
    thread = stack.thread
    parts: list[RenderableType] = [_heading(thread), Fitted(lambda width: _facts(thread, width))]
    parts += threads.waits(thread)
    parts += problem_lines(thread.problems)
    if thread.context is not None:
        parts += [Text(""), styled("parked Context", palette.HEADING)]
        parts.append(context.view_context(thread.context))
    return Group(*parts, Text(""), styled("call stack", palette.HEADING), _stack(stack))


def _heading(thread: Thread) -> Text:
    name = f"thread {thread.id}" if thread.id is not None else f"thread at {thread.address:#x}"
    line = styled(name, palette.HEADING).append(": ", palette.QUIET)
    line.append_text(threads.status_text(thread))
    if thread.is_idle and thread.status != "idle":
        line.append(" (the idle thread)", palette.NOTE)
    return line


def _facts(thread: Thread, width: int) -> Text:
    cells = [styled("Thread at ", palette.LABEL) + address(thread.address)]
    if thread.is_user is not None:
        cells.append(Text("user" if thread.is_user else "kernel"))
    if thread.process is not None:
        cells.append(styled("process at ", palette.LABEL) + address(thread.process))
    if thread.priority is not None:
        cells.append(styled("priority ", palette.LABEL) + Text(str(thread.priority)))
    if thread.process_id is not None:
        cells.append(styled("pid ", palette.LABEL) + Text(str(thread.process_id)))
    stacks = (("", thread.stack), ("kernel ", thread.kernel_stack), ("user ", thread.user_stack))
    cells += [_stack_words(f"{word}stack ", found) for word, found in stacks if found is not None]
    if thread.stack_used is not None:
        cells.append(styled("used now ", palette.LABEL) + Text(size(thread.stack_used)))
    if thread.stack_deepest is not None:
        cells.append(styled("deepest ", palette.LABEL) + Text(size(thread.stack_deepest)))
    return flow(cells, width)


def _stack_words(label: str, stack: Stack) -> Text:
    text = styled(label, palette.LABEL) + address(stack.start)
    text.append(f"..{bound(stack.end)}", palette.ADDRESS)
    text.append(f" {size(stack.end - stack.start)}")
    if stack.guarded is None:
        return text
    return text.append(", a guard page below" if stack.guarded else ", no guard page below")


def _stack(stack: CallStack) -> RenderableType:
    if stack.backtrace is None:
        why = "it has no Context to start from"
        if stack.thread.status == "running":
            why = "it runs on another hart"
        return note_line(f"{_INDENT}no call stack: {why}")
    return view(stack.backtrace)


def view(backtrace: Backtrace) -> RenderableType:
    """A call stack, the innermost stack frame first, and how it ends."""
    return Group(
        Fitted(lambda width: _frames(backtrace, width)),
        *problem_lines(backtrace.problems),
    )


def _frames(backtrace: Backtrace, width: int) -> Text:
    frames = backtrace.frames
    number_width = len(str(len(frames)))
    shown = list(enumerate(frames))
    left_out = 0
    if len(frames) > _MOST:
        left_out = len(frames) - _MOST
        shown = shown[: _MOST - _LAST] + shown[-_LAST:]
    lines = []
    for position, (number, frame) in enumerate(shown):
        if left_out and position == _MOST - _LAST:
            lines.append(note_line(f"{_INDENT}… {count(left_out, 'stack frame')} left out …"))
        lines.append(_frame(number, frame, number_width, width))
    lines.append(note_line(f"{_INDENT}{backtrace.note}"))
    text = Text("\n").join(lines)
    text.overflow = "fold"
    return text


def _frame(number: int, frame: StackFrame, number_width: int, width: int) -> Text:
    label = f"{_INDENT}#{number}".ljust(number_width + len(_INDENT) + 3)
    room = max(16, width - len(label))
    cells = [symbol(frame.pc, room)]
    where = source(frame.pc)
    if where is not None:
        cells.append(where)
    if frame.is_inlined:
        cells.append(styled("inlined", palette.NOTE))
    elif frame.pc.symbol is not None:
        cells.append(address(frame.pc.address))
    if frame.is_trap:
        text = "trap: it interrupted what follows"
        if frame.context is not None:
            text += f"; Context at {frame.context:#x}"
        cells.append(styled(text, palette.WARNING))
    if frame.is_guess:
        cells.append(styled("caller guessed", palette.NOTE))
    body = flow(cells, room, indent=2)
    return styled(label, palette.QUIET) + context.indented(body, len(label))
