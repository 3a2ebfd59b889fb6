"""Rust's wakers: what a `core::task::Waker` wakes, with the type that its vtable's code tells.

A Waker is a pointer without a type and a table of four functions. Of one that `alloc::task::Wake`
made of an Arc, the first is `clone_waker` for the type that the Arc counts, and the pointer leads
to that. Source: core::task::wake, alloc::task.
"""

import re

from rcdbg.image.symbols import Symbols
from rcdbg.model.values.containers import dig
from rcdbg.model.values.value import DecodeError, Value

WAKER = "Waker"
_CLONE = re.compile(r"raw_waker::clone_waker::<(?P<type>.+)>$")


def woken(waker: Value, symbols: Symbols) -> Value | None:
    """What a Waker of an Arc leads to; None of one that wakes nothing, or something unknown.

    Raises DecodeError where memory cannot be read.
    """
    data, vtable = dig(waker, "data").scalar(), dig(waker, "vtable").scalar()
    code = waker.word(vtable, _WORD)
    symbol = symbols.covering(code)
    found = None if symbol is None else _CLONE.search(symbol.path)
    if found is None or not data:
        return None
    types = waker.space.types.types_named(found["type"])
    if not types:
        raise DecodeError(waker.path, f"no type is called {found['type']}")
    return waker.at(types[0], data, waker.path)


_WORD = 8
