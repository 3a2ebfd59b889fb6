"""The kernel's own account of itself: the lines that the boot argument `dump=TICK` prints.

Format: the documentation of kernel/os/src/dump.rs.
"""

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Dump:
    """One dump; numbers as the kernel printed them."""

    tick: int = 0
    current: dict[str, Any] | None = None
    trap: dict[str, Any] | None = None
    ready: list[dict[str, Any]] = field(default_factory=list)
    sleeping: list[dict[str, Any]] = field(default_factory=list)
    parked: dict[int, dict[str, Any]] = field(default_factory=dict)
    free: list[tuple[int, int]] = field(default_factory=list)
    total: int = 0
    used: int = 0
    satp: int = 0


def _fields(line: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in re.findall(r"(\w+)=(\S+)", line):
        if name == "stack":
            start, end = text.split("-")
            found[name] = (int(start, 16), int(end, 16))
        elif name == "x":
            found[name] = tuple(int(word, 16) for word in text.split(","))
        else:
            found[name] = {"true": True, "false": False}.get(text)
            if found[name] is None:
                found[name] = int(text, 0)
    return found


def parse_dump(console: str) -> Dump:
    """The first complete dump in the console's text; raises ValueError if there is none."""
    lines = re.findall(r"^\[dump\] (.*?)\r?$", console, re.MULTILINE)
    if "end" not in lines:
        raise ValueError("no complete dump on the console")
    dump = Dump()
    for line in lines[: lines.index("end")]:
        word, fields = line.split(" ")[0], _fields(line)
        match word.split("=")[0]:
            case "begin":
                dump.tick = fields["tick"]
            case "current":
                dump.current = fields
            case "trap":
                dump.trap = fields
            case "ready":
                dump.ready.append(fields)
            case "sleeping":
                dump.sleeping.append(fields)
            case "parked":
                dump.parked[fields["id"]] = fields
            case "free":
                dump.free.append((fields["start"], fields["end"]))
            case "frames":
                dump.total, dump.used = fields["total"], fields["used"]
            case "satp":
                dump.satp = fields["satp"]
            case other:
                raise ValueError(f"unknown dump line {other!r}")
    return dump
