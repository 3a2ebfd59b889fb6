"""The thread that runs when no other can: waiting, it is in no queue."""

from rcdbg.image.types import Static, StructType, TypeTable
from rcdbg.kernels.description import Names, Paths
from rcdbg.kernels.paths import Path
from rcdbg.model.by_types import by_types
from rcdbg.model.concepts import values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.hops import Ask, Counted
from rcdbg.model.values.parts import find
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.model.values.ways import way

_ITSELF = Paths((Path("", ()),))


def idle_thread(kernel: Kernel) -> int | None:
    """The address of the idle thread, in the static that the description names.

    Or what a static that holds just one Arc of a thread points to; of several such statics, the one
    with the description's word in its name. None without one, and before it is initialised.
    """
    names = kernel.description
    try:
        if names.idle.at:
            thread = next(values_at(kernel, names.idle.at, "idle thread", names.thread.type), None)
            return None if thread is None else thread.address
        static = _lone(kernel) if names.idle.is_lone else None
        if static is None:
            return None
        value = Value(kernel.space, static.type, static.address, static.path)
        found = find(value, _ITSELF, names.thread.type).value
        return None if found is None else found.address
    except DecodeError:
        return None


def _lone(kernel: Kernel) -> Static | None:
    names, types = kernel.description, kernel.image.types
    thread = names.thread.type
    candidates = by_types(types, ("one thread", thread), lambda: _holders_of_one(types, thread))
    if len(candidates) > 1:
        words = [word.lower() for word in names.idle.word]
        candidates = tuple(s for s in candidates if any(w in s.path.lower() for w in words))
    return candidates[0] if len(candidates) == 1 else None


def _holders_of_one(types: TypeTable, thread: Names) -> tuple[Static, ...]:
    """The statics with an Arc of a thread behind nothing but wrappers such as lazy_static."""
    found = []
    for static in types.statics():
        if not types.type(static.type).size:
            continue  # the handle of a lazy_static, not its data
        to_it = way(types, static.type, _ITSELF, thread)
        kind = None if to_it is None else types.type(to_it.type)
        if to_it is None or not isinstance(kind, StructType) or base_name(kind) not in thread:
            continue
        asked = [hop for hop in to_it.hops if isinstance(hop, Ask | Counted)]
        if len(asked) == 1 and isinstance(asked[0], Counted):
            found.append(static)
    return tuple(found)
