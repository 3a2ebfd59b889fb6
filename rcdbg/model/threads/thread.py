"""One thread: what can be read of it, each part for itself."""

from dataclasses import replace

from rcdbg.image.types import TypeId
from rcdbg.kernels.description import Paths
from rcdbg.model.kernel import NOT_DESCRIBED, Kernel
from rcdbg.model.memory.space import root_of_process
from rcdbg.model.state import Context, Problem, Stack, Thread, ThreadStatus
from rcdbg.model.threads.context import decode_context
from rcdbg.model.threads.rules import parked_problems
from rcdbg.model.values.containers import variant_name
from rcdbg.model.values.parts import find, has, has_struct_inside, number, part, struct_inside
from rcdbg.model.values.value import DecodeError, Value


def read_thread(
    kernel: Kernel,
    thread: Value,
    status: ThreadStatus,
    position: int | None,
    priority: int | None = None,
) -> Thread:
    """What can be read of a thread; each part that fails leaves a Problem and None."""
    problems: list[Problem] = []
    names = kernel.description.thread

    def read(paths: Paths) -> int | None:
        try:
            return number(thread, paths) if paths else None
        except DecodeError as error:
            problems.append(error.problem)
            return None

    start, end = read(names.stack_start), read(names.stack_end)
    stack = None if start is None or end is None else Stack(start, end)
    process, user, root_ppn = _process(kernel, thread, problems)
    context = sleeping = dead = locked = None
    try:
        locked = find(thread, names.guarded).locked if has(thread, names.guarded) else None
        context = _parked(kernel, thread)
        problems.extend(context.problems if context else ())
        sleeping, dead = _flags(kernel, thread, problems)
    except DecodeError as error:
        problems.append(error.problem)
    found = Thread(
        thread.address,
        read(names.id),
        "dead" if dead else status,
        position,
        user,
        process,
        stack,
        context,
        sleeping,
        dead,
        priority,
        locked,
        tuple(problems),
    )
    return replace(found, problems=found.problems + parked_problems(kernel, found, root_ppn))


def thread_in(kernel: Kernel, entry: Value) -> Value | None:
    """The thread that an entry of a collection is, points to, or has a field for; None without.

    Raises DecodeError where memory on the way is nonsense.
    """
    names = kernel.description
    if has(entry, names.queue.thread):
        return find(entry, names.queue.thread, names.thread.type).value
    if not has_struct_inside(entry.space.types, entry.type_id, names.thread.type):
        return None
    return struct_inside(entry, names.thread.type).value


def thread_at(kernel: Kernel, address: int) -> Value:
    """The thread at that address; raises DecodeError if the kernel has no such struct."""
    return Value(kernel.space, thread_type(kernel), address, f"thread at {address:#x}")


def thread_type(kernel: Kernel) -> TypeId:
    """The type of a thread; raises DecodeError if the kernel has none."""
    names = kernel.description.thread
    if not names.type:
        raise DecodeError("thread", NOT_DESCRIBED)
    return kernel.struct_with(names.type, names.id)


def is_asleep(kernel: Kernel, thread: Value) -> bool | None:
    """Whether a thread says of itself that it sleeps; None if that cannot be read."""
    try:
        return _flags(kernel, thread, [])[0]
    except DecodeError:
        return None


def _process(
    kernel: Kernel, thread: Value, problems: list[Problem]
) -> tuple[int | None, bool | None, int | None]:
    """The address of the thread's process, whether that is a user's, and then its root table."""
    names = kernel.description
    process = user = root_ppn = None
    if has(thread, names.thread.process):
        try:
            held = part(thread, names.thread.process, names.process.type)
            process = held.address
            if names.process.is_user:
                user = bool(number(held, names.process.is_user))
            root_ppn = root_of_process(kernel, held) if user else None
        except DecodeError as error:
            problems.append(error.problem)
    return process, user, root_ppn


def _parked(kernel: Kernel, thread: Value) -> Context | None:
    names = kernel.description
    if not names.thread.context:
        return None
    held = find(thread, names.thread.context, names.context.type).value
    return None if held is None else decode_context(kernel, held)


def _flags(
    kernel: Kernel, thread: Value, problems: list[Problem]
) -> tuple[bool | None, bool | None]:
    """Whether it sleeps and whether it is dead, by its flags or by its state."""
    names, states = kernel.description.thread, kernel.description.states
    if not has(thread, names.state):
        return _flag(thread, names.sleeping, problems), _flag(thread, names.dead, problems)
    variant = variant_name(part(thread, names.state))
    return variant in states.sleeping, variant in states.dead


def _flag(thread: Value, paths: Paths, problems: list[Problem]) -> bool | None:
    """A bool; anything but 0 and 1 is a Problem. None where threads have no such field."""
    if not has(thread, paths):
        return None
    try:
        field = part(thread, paths)
        found = field.scalar()
    except DecodeError as error:
        problems.append(error.problem)
        return None
    if found not in (0, 1):
        problems.append(Problem(field.path, f"{found} is no bool"))
        return None
    return bool(found)
