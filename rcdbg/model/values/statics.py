"""The statics of a kernel by any reasonable name: the full path, its end, some of its modules.

`os::process::PROCESSOR` also finds `os::process::processor::PROCESSOR`. A lazy_static's name means
its data.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image
from rcdbg.image.types import Static, TypeTable

_MAX_OFFERED = 8
_LAZY = re.compile(r"<(?P<handle>.+) as core::ops::deref::Deref>::deref::.*LAZY$")


@dataclass(frozen=True, slots=True)
class NamedStatic:
    """A static under the name that the source gives it; a lazy_static's is that of its data."""

    name: str
    static: Static


def short_name(static: Static) -> str:
    """Its name without its modules; the data of a lazy_static goes by that of its handle."""
    lazy = _LAZY.match(static.path)
    return (lazy["handle"] if lazy else static.path).rsplit("::", 1)[-1]


@lru_cache(maxsize=8)
def statics(image: Image) -> tuple[NamedStatic, ...]:
    """All statics, by the names that the source gives them, sorted."""
    return named_statics(image.types)


def named_statics(types: TypeTable) -> tuple[NamedStatic, ...]:
    """The same of any table of types."""
    found: dict[tuple[str, int], NamedStatic] = {}
    lazies: set[str] = set()
    for static in types.statics():
        lazy = _LAZY.match(static.path)
        name = lazy["handle"] if lazy else static.path
        if lazy:
            lazies.add(name)
        found.setdefault((name, static.address), NamedStatic(name, static))
    kept = [s for s in found.values() if s.name not in lazies or types.type(s.static.type).size]
    return tuple(sorted(kept, key=lambda s: s.name))


def static_named(image: Image, name: str) -> Static:
    """The one static that `name` means; raises UsageError, also for one that was optimised out."""
    typed = name.split("::")
    try:
        return find_static(statics(image), name)
    except UsageError:
        for path in image.types.lost_statics():
            segments = path.split("::")
            if segments[-1] == typed[-1] and _in_order(typed, segments):
                why = "optimised out: its value is where it is used, and not in memory"
                raise UsageError(f"{path} is {why}") from None
        raise


def find_static(known: Iterable[NamedStatic], name: str) -> Static:
    """The one static that `name` means; raises UsageError with near names, or with all of them."""
    known = tuple(known)
    typed = name.split("::")
    ranks: dict[int, list[NamedStatic]] = {}
    for one in known:
        segments = one.name.split("::")
        if segments == typed:
            ranks.setdefault(0, []).append(one)
        elif segments[-len(typed) :] == typed:
            ranks.setdefault(1, []).append(one)
        elif segments[-1] == typed[-1] and _in_order(typed, segments):
            ranks.setdefault(2, []).append(one)
    if not ranks:
        raise UsageError(f"the kernel has no static {name!r}{_near(name, known)}")
    best = ranks[min(ranks)]
    if len(best) > 1 and len({one.static.address for one in best}) > 1:
        raise UsageError(f"{name} may be {listed([one.name for one in best])}: say which")
    return best[0].static


def _in_order(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(word in rest for word in few)


def _near(name: str, known: Iterable[NamedStatic]) -> str:
    names = [one.name for one in known]
    if not names:
        return ": the ELF names none (no debug info?)"
    by_last = {n.rsplit("::", 1)[-1].lower(): n for n in names}
    close = difflib.get_close_matches(name.rsplit("::", 1)[-1].lower(), by_last, 3, 0.6)
    if close:
        return f"; did you mean {' or '.join(by_last[c] for c in close)}?"
    return "; it may be a constant, or optimised out. `print` without a path lists all"


def listed(names: Iterable[str]) -> str:
    """The first of these names, for an error, and how many there are more."""
    names = list(dict.fromkeys(names))
    rest = f" and {len(names) - _MAX_OFFERED} more" if len(names) > _MAX_OFFERED else ""
    return ", ".join(names[:_MAX_OFFERED]) + rest
