"""A Node as JSON, in the manner of `serial`; documented in docs/decoders/values.md."""

import math

from rcdbg.model.serial.state import Json
from rcdbg.model.values.inspect import Node
from rcdbg.model.values.printed import Statics

_SAFE = 1 << 53


def node(value: Node) -> Json:
    """A value: pointers are strings in hex, and numbers beyond 53 bits decimal strings."""
    return {
        "name": value.name,
        "type": value.type,
        "kind": value.kind,
        "address": f"{value.address:#x}",
        "value": _scalar(value),
        "label": value.label or None,
        "wrappers": list(value.wrappers),
        "notes": list(value.notes),
        "length": value.length,
        "more": value.more,
        "children": [node(child) for child in value.children],
        "problems": [{"where": p.where, "why": p.why} for p in value.problems],
    }


def _scalar(value: Node) -> int | float | bool | str | None:
    held = value.value
    if value.kind == "pointer" and isinstance(held, int):
        return f"{held:#x}"
    if isinstance(held, int) and not isinstance(held, bool) and abs(held) >= _SAFE:
        return str(held)
    if isinstance(held, str):
        return held.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(held, float) and not math.isfinite(held):
        return str(held)
    return held


def statics(value: Statics) -> list[Json]:
    """The statics with their addresses and types."""
    return [
        {
            "name": one.name,
            "address": f"{one.static.address:#x}",
            "type": value.type_names[one.static.type],
            "file": one.static.file,
            "line": one.static.line,
        }
        for one in value.known
    ]
