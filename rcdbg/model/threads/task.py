"""One thread of a kernel that lists them all: its state, its process, its stacks and registers."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from rcdbg.image.types import ArrayType, CEnumType, EnumType
from rcdbg.kernels.description import Paths
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.space import root_of_process
from rcdbg.model.process_list import listed_processes
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Context, Problem, SwitchFrame, Thread, ThreadStatus
from rcdbg.model.tasks.stacks import kernel_stack, user_stack
from rcdbg.model.threads.context import context_type, decode_context, decode_switch
from rcdbg.model.threads.rules import name_of, parked_problems
from rcdbg.model.values.containers import byte_string, variant_name
from rcdbg.model.values.parts import find, has, is_optional, number, part
from rcdbg.model.values.value import DecodeError, Space, Value
from rcdbg.riscv.pages import PAGE_SHIFT
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import MASK64

_T = TypeVar("_T")

_USER, _SP = 0, 2


def state_of(kernel: Kernel, thread: Value) -> tuple[str, ThreadStatus]:
    """The state in the kernel's own words, and what it means; raises DecodeError."""
    names = kernel.description
    if not has(thread, names.thread.state):
        if not has(thread, names.thread.dead):
            return "", "unknown"
        return "", "dead" if number(thread, names.thread.dead) else "ready"
    word, states = _word(kernel, part(thread, names.thread.state)), names.states
    if has(thread, names.thread.alive) and find(thread, names.thread.alive).value is None:
        return word, "dead"
    if word in states.running:
        return word, "running"
    if word in states.ready:
        return word, "ready"
    if word in states.sleeping:
        return word, "sleeping"
    return word, "dead" if word in states.dead else "unknown"


def _word(kernel: Kernel, state: Value) -> str:
    """The variant's name, also where only its number is kept; raises DecodeError."""
    if isinstance(state.type, CEnumType | EnumType) or not kernel.description.states.type:
        return variant_name(state)
    number = state.scalar()
    for name in kernel.description.states.type:
        for type_id in kernel.image.types.types_named(name):
            kind = kernel.image.types.type(type_id)
            if isinstance(kind, CEnumType):
                for variant, known in kind.enumerators:
                    if known == number:
                        return variant
    raise DecodeError(state.path, f"{number:#x} is no {kernel.description.states.type.first}")


def read_task(
    kernel: Kernel, thread: Value, place: int | None, *, runs: bool, is_own: bool = False
) -> Thread:
    """What can be read of a thread; each part that fails leaves a Problem and None.

    `place` is its place in the list, its id where the kernel gives none; `runs` whether it is on a
    hart: then its registers are there; `is_own` whether that is the one whose registers we have.
    """
    problems: list[Problem] = []

    def attempt(decode: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return decode()
        except DecodeError as error:
            problems.append(error.problem)
            return otherwise

    unknown: tuple[str, ThreadStatus, int | None] = ("", "running" if runs else "unknown", None)
    word, status, code = attempt(lambda: _stands(kernel, thread, runs=runs), unknown)
    own = attempt(lambda: id_of(kernel, thread, place), None)
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
    sp = attempt(lambda: _user_sp(kernel, value, is_on_hart=is_own), None)
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
        kernel_stack=attempt(lambda: kernel_stack(kernel, thread, value), None),
        user_stack=attempt(lambda: user_stack(kernel, thread, process, sp), None),
        exit_code=code,
    )
    checked = (*problems, *parked_problems(kernel, found, root), *_switch_problems(found))
    return replace(found, problems=tuple(checked))


def _stands(kernel: Kernel, thread: Value, *, runs: bool) -> tuple[str, ThreadStatus, int | None]:
    """Its state in the kernel's words, what that comes to, and its exit code once it is dead.

    Where that code is an Option, having one is being dead. Raises DecodeError.
    """
    word, status = state_of(kernel, thread)
    if runs:
        return word, "running", None
    paths = kernel.description.thread.exit_code
    if status == "dead" or is_optional(thread, paths):
        code = _number(thread, paths)
        status = status if code is None else "dead"
        return word, "unknown" if status == "running" else status, code
    # One that is said to run and is on no hart is on its way to one, or from one.
    return word, "unknown" if status == "running" else status, None


def _number(value: Value, paths: Paths) -> int | None:
    """A number that may not be there."""
    if not has(value, paths):
        return None
    found = find(value, paths).value
    return None if found is None else found.scalar()


def id_of(kernel: Kernel, thread: Value, place: int | None) -> int | None:
    """The kernel's number of a thread, else its place in the list; raises DecodeError."""
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
    found = found["vec"] if found.has("vec") else found  # a String
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


def _user_sp(kernel: Kernel, value: Value | None, *, is_on_hart: bool) -> int | None:
    """The stack pointer of its user code: in the trap frame, or on the hart."""
    if is_on_hart and kernel.registers.privilege == _USER:
        return kernel.registers.x[_SP] & MASK64
    return None if value is None else decode_context(kernel, value).x[_SP]


def _switch_problems(thread: Thread) -> tuple[Problem, ...]:
    stack, switch = thread.kernel_stack, thread.switch
    if stack is None or switch is None or switch.sp in stack or thread.status == "dead":
        return ()
    below = stack.start - switch.sp
    why = f"sp {switch.sp:#x} is outside its kernel stack {stack.start:#x}..{stack.end:#x}"
    if 0 < below <= stack.end - stack.start:
        why += f", {below} bytes below it: an overflow"
    return (Problem(f"{name_of(thread)}.switch", why),)
