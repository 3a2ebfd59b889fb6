"""One thread of a kernel that lists them all: its state, its process, its stacks and registers."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from rcdbg.errors import MemoryReadError
from rcdbg.image.types import ArrayType
from rcdbg.kernels.description import Paths
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.space import kernel_memory, root_of_process
from rcdbg.model.process_list import listed_processes
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Context, Problem, Stack, SwitchFrame, Thread, ThreadStatus
from rcdbg.model.threads.context import context_type, decode_context, decode_switch
from rcdbg.model.threads.rules import name_of, parked_problems
from rcdbg.model.values.containers import byte_string, variant_name
from rcdbg.model.values.parts import find, has, number, part
from rcdbg.model.values.value import DecodeError, Space, Value
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import MASK64

_T = TypeVar("_T")

MAX_STACK_PAGES = 64
"""Pages of a kernel stack that are looked for below its end: 256 KiB."""


def state_of(kernel: Kernel, thread: Value) -> tuple[str, ThreadStatus]:
    """The state in the kernel's own words, and what it means; raises DecodeError."""
    names = kernel.description
    if not has(thread, names.thread.state):
        return "", "unknown"
    word, states = variant_name(part(thread, names.thread.state)), names.states
    if has(thread, names.thread.alive) and find(thread, names.thread.alive).value is None:
        return word, "dead"
    if word in states.running:
        return word, "running"
    if word in states.ready:
        return word, "ready"
    if word in states.sleeping:
        return word, "sleeping"
    return word, "dead" if word in states.dead else "unknown"


def read_task(kernel: Kernel, thread: Value, place: int | None, *, runs: bool) -> Thread:
    """What can be read of a thread; each part that fails leaves a Problem and None.

    `place` is its place in the list, its id where the kernel gives none; `runs` whether it is on a
    hart: then its registers are there.
    """
    problems: list[Problem] = []

    def attempt(decode: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return decode()
        except DecodeError as error:
            problems.append(error.problem)
            return otherwise

    unknown: tuple[str, ThreadStatus] = ("", "unknown")
    word, status = attempt(lambda: state_of(kernel, thread), unknown)
    if runs:
        status = "running"
    elif status == "running":
        status = "unknown"  # on its way to a hart, or from one
    own = attempt(lambda: _id(kernel, thread, place), None)
    process = attempt(lambda: process_of(kernel, thread), None)
    process_id = root = None
    if process is not None:
        process_id = attempt(lambda: _number(process, kernel.description.process.id), None)
    waits = status in ("ready", "sleeping", "unknown")
    value = attempt(lambda: context_value(kernel, thread), None) if status != "dead" else None
    context: Context | None = None
    if waits and value is not None:
        context = attempt(lambda: decode_context(kernel, value), None)
        if process is not None:
            root = attempt(lambda: root_of_process(kernel, process), None)
    switch = attempt(lambda: _switch(kernel, thread), None) if waits else None
    found = Thread(
        thread.address,
        own,
        status,
        None,
        kernel.description.process.all_user or None,
        None if process is None else process.address,
        None,
        context,
        status == "sleeping",
        status == "dead",
        None,
        attempt(lambda: _locked(thread, kernel), None),
        tuple(problems),
        process_id=process_id,
        name=attempt(lambda: text_at(thread, kernel.description.thread.name), ""),
        state=word,
        switch=switch,
        kernel_stack=attempt(lambda: _kernel_stack(kernel, thread, value), None),
    )
    checked = (*problems, *parked_problems(kernel, found, root), *_switch_problems(found))
    return replace(found, problems=tuple(checked))


def _number(value: Value, paths: Paths) -> int | None:
    """A number that may not be there."""
    if not has(value, paths):
        return None
    found = find(value, paths).value
    return None if found is None else found.scalar()


def _id(kernel: Kernel, thread: Value, place: int | None) -> int | None:
    names = kernel.description.thread
    return _number(thread, names.id) if has(thread, names.id) else place


def _locked(thread: Value, kernel: Kernel) -> bool | None:
    names = kernel.description.thread
    return find(thread, names.guarded).locked if has(thread, names.guarded) else None


def process_of(kernel: Kernel, thread: Value) -> Value | None:
    """The process of a thread, if it can be told; raises DecodeError."""
    names = kernel.description
    if not has(thread, names.thread.process):
        return None
    found = find(thread, names.thread.process, names.process.type).value
    itself = found is not None and found.address == thread.address
    if not itself or has(thread, names.process.space):
        return found
    return _by_table(kernel, thread)


def _by_table(kernel: Kernel, thread: Value) -> Value | None:
    """The process with the table that the thread runs in; raises DecodeError."""
    paths = kernel.description.thread.satp
    if not has(thread, paths):
        return None
    root = Satp(number(thread, paths) & MASK64).ppn
    return _processes_by_table(kernel).get(root)


@once_a_moment
def _processes_by_table(kernel: Kernel) -> dict[int, Value]:
    found: dict[int, Value] = {}
    for process in listed_processes(kernel).values:
        with suppress(DecodeError):  # whoever shows the process says why
            found[root_of_process(kernel, process)] = process
    return found


def text_at(value: Value, paths: Paths) -> str:
    """The text at a path, up to a NUL; "" without such a path. Raises DecodeError."""
    if not has(value, paths):
        return ""
    found = part(value, paths)
    data = found.raw() if isinstance(found.type, ArrayType) else byte_string(found)
    return data.split(b"\0")[0].decode("utf-8", "replace")


def context_value(kernel: Kernel, thread: Value) -> Value | None:
    """Where the registers of its user code are while the kernel works; raises DecodeError.

    In a frame of its own, whatever is mapped where; or where the thread says.
    """
    names = kernel.description
    if has(thread, names.thread.context_ppn):
        found = find(thread, names.thread.context_ppn).value
        if found is None:
            return None
        space = Space(kernel.image.types, kernel.target.read_phys)
        address = found.scalar() << PAGE_SHIFT
        return Value(space, context_type(kernel), address, f"{thread.path}.context")
    if has(thread, names.thread.context):
        return find(thread, names.thread.context, names.context.type).value
    return None


def _switch(kernel: Kernel, thread: Value) -> SwitchFrame | None:
    names = kernel.description
    if not has(thread, names.thread.switch):
        return None
    return decode_switch(kernel, part(thread, names.thread.switch, names.switch.type))


def _kernel_stack(kernel: Kernel, thread: Value, context: Value | None) -> Stack | None:
    """The stack that it handles traps on, down to where nothing is mapped; raises DecodeError."""
    names = kernel.description
    end = None if context is None else _number(context, names.context.kernel_sp)
    if has(thread, names.thread.kernel_stack):
        start = part(thread, names.thread.kernel_stack)
        if isinstance(start.type, ArrayType):
            return Stack(start.address, start.address + start.type.size)
        return None if end is None else Stack(start.scalar(), end)
    if end is None or end % PAGE_SIZE:
        return None
    memory, start_page = kernel_memory(kernel), end
    for _ in range(MAX_STACK_PAGES):
        try:
            memory.physical(start_page - PAGE_SIZE)
        except MemoryReadError:
            return Stack(start_page, end) if start_page < end else None
        start_page -= PAGE_SIZE
    return None


def _switch_problems(thread: Thread) -> tuple[Problem, ...]:
    stack, switch = thread.kernel_stack, thread.switch
    if stack is None or switch is None or switch.sp in stack or thread.status == "dead":
        return ()
    below = stack.start - switch.sp
    why = f"sp {switch.sp:#x} is outside its kernel stack {stack.start:#x}..{stack.end:#x}"
    if 0 < below <= stack.end - stack.start:
        why += f", {below} bytes below it: an overflow"
    return (Problem(f"{name_of(thread)}.switch", why),)
