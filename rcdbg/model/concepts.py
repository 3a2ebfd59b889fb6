"""Where a kernel keeps what its description names: the statics that hold it, or lead to it."""

from collections.abc import Iterator

from rcdbg.errors import UsageError
from rcdbg.kernels.description import NO_NAMES, Names, Roots
from rcdbg.model.kernel import NOT_DESCRIBED, Kernel
from rcdbg.model.values.parts import Found, parts, struct_inside
from rcdbg.model.values.path import start
from rcdbg.model.values.statics import static_named
from rcdbg.model.values.value import DecodeError, Value


def held(kernel: Kernel, names: Names, at: Roots, what: str) -> Found:
    """The struct with one of these names that a static holds, and whether its lock is held.

    `at` tells where it is, if the description does; `what` it is, in words. The value is None where
    it is not initialised yet. Raises DecodeError if the kernel has no such static.
    """
    if at:
        value = next(values_at(kernel, at, what), None)
        return Found(value, None) if value is None or not names else struct_inside(value, names)
    return struct_inside(kernel.static_holding(names, what), names)


def values_at(kernel: Kernel, roots: Roots, what: str, stop: Names = NO_NAMES) -> Iterator[Value]:
    """All values that the first of these paths leads to whose static the kernel has.

    Raises DecodeError if it has none of the statics, or memory on the way is nonsense.
    """
    if not roots:
        raise DecodeError(what, NOT_DESCRIBED)
    why = ""
    for name, paths in roots.each:
        try:
            static = static_named(kernel.image, name)
        except UsageError as error:
            why = why or str(error)
            continue
        yield from parts(start(kernel.space, static, name), paths, stop)
        return
    raise DecodeError(what, why)
