"""What gdb's machine interface says about the guest, as values.

Formats: gdb manual, chapter "The GDB/MI Interface".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcdbg.machine.gdb.mi import Payload
from rcdbg.machine.stop import Stop

_SIGNALS = {"0": 0, "SIGINT": 2, "SIGQUIT": 3, "SIGILL": 4, "SIGTRAP": 5, "SIGABRT": 6, "SIGIO": 23}
"""Those that QEMU's stub sends, by gdb's numbers: gdb's include/gdb/signals.def."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One stack frame; the innermost has level 0. `file` is absolute."""

    level: int
    pc: int
    function: str | None
    file: Path | None
    line: int | None


@dataclass(frozen=True, slots=True)
class MiInstruction:
    """One disassembled instruction; `opcodes` are its bytes in memory order.

    `function` and `offset` (bytes) say where it is in the symbol table, `file` (absolute) and
    `line` where in the source; None where that is not known.
    """

    address: int
    opcodes: bytes
    text: str
    function: str | None
    offset: int | None
    file: Path | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """A breakpoint or watchpoint of gdb's; `address` is None if it has none, or several."""

    number: int
    kind: str
    address: int | None
    location: str
    enabled: bool
    hits: int


def stop_of(payload: Payload) -> Stop:
    """The meaning of `*stopped`: gdb manual, node "GDB/MI Async Records"."""
    why = payload.get("reason", "")
    pc = hexadecimal(payload.get("frame", {}).get("addr"))
    if why.startswith("exited"):
        return Stop("exited", exit_status=exit_code_of(payload))
    if why == "breakpoint-hit" or "watchpoint" in why:
        numbers = [payload.get("bkptno")]
        numbers += [value.get("number") for value in payload.values() if isinstance(value, dict)]
        number = next((int(text) for text in numbers if text and text.isdigit()), None)
        return Stop("breakpoint", pc, number, _SIGNALS["SIGTRAP"])
    if why in ("end-stepping-range", "function-finished", "location-reached"):
        return Stop("step", pc, signal=_SIGNALS["SIGTRAP"])
    signal = _SIGNALS.get(payload.get("signal-name", ""))
    # Without a reason it is the stop by which gdb attached.
    reached = why == "" or signal == _SIGNALS["SIGINT"]
    return Stop("interrupt" if reached else "signal", pc, signal=signal)


def exit_code_of(payload: Payload) -> int | None:
    """The exit status in a record about the guest's end; None if it is not told."""
    code = payload.get("exit-code")
    if code is not None:
        return int(code, 8)
    return 0 if payload.get("reason") == "exited-normally" else None


def hexadecimal(text: str | None) -> int | None:
    """The number; None for anything that is not one, such as `<unavailable>`."""
    try:
        return int(text or "", 16)
    except ValueError:
        return None


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def frame_of(row: dict[str, Any]) -> Frame:
    """A row of `-stack-list-frames`."""
    return Frame(
        level=int(row["level"]),
        pc=hexadecimal(row.get("addr")) or 0,
        function=row.get("func") if row.get("func") != "??" else None,
        file=_path(row.get("fullname")),
        line=_integer(row.get("line")),
    )


def instructions_of(row: dict[str, Any]) -> list[MiInstruction]:
    """Those in a row of `-data-disassemble`: of one source line, or the one without source."""
    lines = row.get("line_asm_insn", [row] if "address" in row else [])
    return [
        MiInstruction(
            address=int(line["address"], 16),
            opcodes=bytes.fromhex(line.get("opcodes", "")),
            text=line.get("inst", "").replace("\t", " "),
            function=line.get("func-name"),
            offset=_integer(line.get("offset")),
            file=_path(row.get("fullname")),
            line=_integer(row.get("line")),
        )
        for line in lines
    ]


def breakpoint_of(row: dict[str, Any]) -> Breakpoint:
    """A row of `-break-list`."""
    return Breakpoint(
        number=int(row["number"]),
        kind=row.get("type", ""),
        address=hexadecimal(row.get("addr")),
        location=row.get("original-location") or row.get("what") or row.get("addr", ""),
        enabled=row.get("enabled") == "y",
        hits=_integer(row.get("times")) or 0,
    )
