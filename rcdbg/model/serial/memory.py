"""The heap and the owners of frames as JSON: documented in docs/json.md."""

from collections.abc import Iterable

from rcdbg.model.memory.frame_owners import FrameOwners
from rcdbg.model.memory.heap import Heap
from rcdbg.model.serial import state as serial
from rcdbg.model.serial.state import Json
from rcdbg.model.state import Interval, Problem


def _hex(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def _problems(problems: Iterable[Problem]) -> list[Json]:
    return [{"where": p.where, "why": p.why} for p in problems]


def _interval(value: Interval) -> Json:
    return {"start": value.start, "end": value.end}


def heap(value: Heap) -> Json:
    """The kernel heap."""
    return {
        "allocator": value.kind,
        "start": _hex(value.start),
        "end": _hex(value.end),
        "requested_bytes": value.requested,
        "allocated_bytes": value.allocated,
        "total_bytes": value.total,
        "free_bytes": value.free if value.kind else None,
        "largest_bytes": value.largest if value.kind and value.counted_free is None else None,
        "lists": [
            {
                "order": found.order,
                "block_bytes": found.block_size,
                "blocks": [_hex(block) for block in found.blocks],
                "broken": found.broken,
            }
            for found in value.lists
        ],
        "holes": [{"address": _hex(start), "bytes": size} for start, size in value.holes],
        "locked": value.locked,
        "note": value.note,
        "problems": _problems(value.problems),
    }


def owners(value: FrameOwners) -> Json:
    """The owners of all used frames."""
    return {
        "frames": serial.frames(value.allocator),
        "image": _interval(value.image) if value.image else None,
        "spaces": [
            {
                "name": space.name,
                "process": _hex(space.process),
                "root_ppn": space.root_ppn,
                "is_user": space.is_user,
                "active": space.active,
                "tables": space.tables,
                "pages": space.pages,
            }
            for space in value.spaces
        ],
        "holdings": [
            {
                "start": h.start,
                "end": h.end,
                "kind": h.kind,
                "space": h.space,
                "level": h.level,
                "va": _hex(h.va),
                "thread": h.thread,
                "path": h.path,
                "tracked": h.tracked,
            }
            for h in value.holdings
        ],
        "nobody": [_interval(i) for i in value.nobody],
        "conflicts": [
            {"frame": c.frame, "kind": c.kind, "claims": list(c.claims)} for c in value.conflicts
        ],
        "complete": value.complete,
        "note": value.note,
        "problems": _problems(value.problems),
    }
