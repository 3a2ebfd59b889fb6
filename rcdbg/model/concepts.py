"""Where a kernel keeps what its description names: the statics that hold it, or lead to it."""

from collections.abc import Iterator

from rcdbg.errors import UsageError
from rcdbg.kernels.description import NO_NAMES, Names, Paths, Roots
from rcdbg.kernels.paths import Each
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.parts import FoundPart, find, has, parts, struct_inside
from rcdbg.model.values.path import start
from rcdbg.model.values.statics import static_named
from rcdbg.model.values.value import DecodeError, Value


def held(kernel: Kernel, names: Names, at: Roots, what: str) -> FoundPart:
    """The struct with one of these names that a static holds, and whether its lock is held.

    `at` tells where it is, if the description does; `what` it is, in words. The value is None where
    it is not initialised yet. Raises DecodeError if the kernel has no such static.
    """
    if not at:
        return struct_inside(kernel.static_holding(names, what), names)
    static, paths = _first_static(kernel, at, what)
    found = find(static, paths, names)
    if found.value is None or not names:
        return found
    inner = struct_inside(found.value, names)
    return FoundPart(inner.value, found.locked if inner.locked is None else inner.locked)


def values_at(kernel: Kernel, roots: Roots, what: str, stop: Names = NO_NAMES) -> Iterator[Value]:
    """All values that the first of these paths leads to that the kernel has, from its static on.

    Raises DecodeError if it has none of the statics, or memory on the way is nonsense.
    """
    static, paths = _first_static(kernel, roots, what)
    yield from parts(static, paths, stop)


def leads_to_one(kernel: Kernel, roots: Roots) -> bool:
    """Whether the first of these paths that the kernel has is that of a single value.

    Raises DecodeError if it has none of the statics.
    """
    _, paths = _first_static(kernel, roots, "")
    return not any(isinstance(step, Each) for path in paths for step in path.steps)


def locked_on_the_way(kernel: Kernel, roots: Roots) -> bool | None:
    """Whether the innermost lock on the way is held; None without one, and where many are meant."""
    try:
        static, paths = _first_static(kernel, roots, "")
        return find(static, paths).locked
    except DecodeError:
        return None


def is_there(kernel: Kernel, roots: Roots) -> bool:
    """Whether the kernel has one of these statics, with the path from it."""
    try:
        static, paths = _first_static(kernel, roots, "")
    except DecodeError:
        return False
    return has(static, paths)


def has_static(kernel: Kernel, roots: Roots) -> bool:
    """The same, and False for no roots; nothing is read."""
    return bool(roots) and is_there(kernel, roots)


def _start(kernel: Kernel, name: str) -> Value | None:
    """The static of that name, or the local variable `FUNCTION::VARIABLE`; None without one."""
    try:
        return start(kernel.space, static_named(kernel.image, name), name)
    except UsageError:
        return _local(kernel, name)


def _local(kernel: Kernel, name: str) -> Value | None:
    if "::" not in name:
        return None
    # Following the stack takes what takes this: imported when it is needed.
    from rcdbg.model.tasks.locals import local_named

    try:
        return local_named(kernel, name)
    except DecodeError:
        return None


def _first_static(kernel: Kernel, roots: Roots, what: str) -> tuple[Value, Paths]:
    """The first static of these that the kernel has with that path; raises DecodeError.

    Without one with the path, the first static.
    """
    known = Names(dict.fromkeys(name for name, _ in roots.each))
    first: tuple[Value, Paths] | None = None
    for name, paths in roots.each:
        static = _start(kernel, name)
        if static is None:
            continue
        if has(static, paths):
            return static, paths
        first = first or (static, paths)
    if first is None:
        why = f"no static of the kernel is called {' or '.join(known)}: it may be a local variable"
        raise DecodeError(what, why if roots else kernel.not_described)
    return first
