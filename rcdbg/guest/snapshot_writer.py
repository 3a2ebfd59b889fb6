"""Writing a stopped machine into a snapshot file."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rcdbg.errors import TargetError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.guest.snapshot_format import (
    BLOCK_PAGES,
    MAGIC,
    MAX_CONSOLE,
    MAX_FILE,
    MAX_HEADER,
    MAX_NAME,
    PREFIX,
    RUN,
    VERSION,
    ZERO_PAGE,
    compress,
)
from rcdbg.outputs import write_whole
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.registers import MASK64

_SCAN: Final = 1 << 20

ReadPhys = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Machine:
    """What is kept of a stopped machine, beside its memory.

    `elf` is the kernel's file and `kernel_name` its name; `console` what was printed so far, or
    None where nobody listened; `others` are registers that `Registers` has no place for.
    """

    registers: Registers
    ram: Ram
    elf: bytes
    kernel_name: str
    console: str | None = None
    others: Mapping[str, int] = field(default_factory=dict)


def write_snapshot(
    path: Path, machine: Machine, read_phys: ReadPhys, *, small: bool = False
) -> int:
    """Write the machine to a file, which appears when it is complete; returns its size in bytes.

    `small` takes seconds longer and saves a third. Raises OutputError if the file cannot be
    written, MemoryReadError if RAM cannot be read, before there is a new file.
    """
    data = pack(machine, read_phys, small=small)
    write_whole(path, data)
    return len(data)


def pack(machine: Machine, read_phys: ReadPhys, *, small: bool = False) -> bytes:
    """The bytes of the snapshot file."""
    if machine.ram.start % PAGE_SIZE or machine.ram.size % PAGE_SIZE:
        raise TargetError(f"RAM is not made of pages: {machine.ram}")
    codec = "lzma" if small else "zlib"
    runs, blocks = _pages(read_phys, machine.ram, codec)
    parts: list[tuple[str, int, bytes]] = []

    def add(name: str, content: bytes) -> None:
        parts.append((name, len(content), compress(content, codec)))

    add("elf", machine.elf)
    if machine.console is not None:
        add("console", machine.console.encode("utf-8", "replace")[-MAX_CONSOLE:])
    add("runs", b"".join(RUN.pack(*run) for run in runs))
    parts += [("block", size, stored) for size, stored in blocks]
    now = machine.registers
    header = {
        "kernel": machine.kernel_name[:MAX_NAME],
        "ram": {"start": hex(machine.ram.start), "size": machine.ram.size},
        "registers": {
            "pc": hex(now.pc & MASK64),
            "x": [hex(value & MASK64) for value in now.x],
            "csrs": {name: hex(value & MASK64) for name, value in now.csrs.items()},
            "privilege": now.privilege,
        },
        "others": {name: hex(value & MASK64) for name, value in machine.others.items()},
        "parts": [[name, codec, size, len(stored)] for name, size, stored in parts],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    body = b"".join([text, *(stored for _, _, stored in parts)])
    size = PREFIX.size + len(body)
    if size > MAX_FILE or len(text) > MAX_HEADER:
        raise TargetError(f"the snapshot would have {size} bytes: more than rcdbg reads")
    digest = hashlib.sha256(body).digest()
    return PREFIX.pack(MAGIC, VERSION, len(text), size, digest) + body


def _pages(
    read_phys: ReadPhys, ram: Ram, codec: str
) -> tuple[list[tuple[int, int]], list[tuple[int, bytes]]]:
    """The runs of pages that are not zeros, and these pages in compressed blocks."""
    runs: list[tuple[int, int]] = []
    blocks: list[tuple[int, bytes]] = []
    waiting = bytearray()
    for number, page in _used_pages(read_phys, ram):
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
        waiting += page
        if len(waiting) == BLOCK_PAGES * PAGE_SIZE:
            blocks.append((len(waiting), compress(bytes(waiting), codec)))
            waiting.clear()
    if waiting:
        blocks.append((len(waiting), compress(bytes(waiting), codec)))
    return runs, blocks


def _used_pages(read_phys: ReadPhys, ram: Ram) -> Iterator[tuple[int, bytes]]:
    for start in range(ram.start, ram.end, _SCAN):
        piece = read_phys(start, min(_SCAN, ram.end - start))
        if not piece.strip(b"\0"):
            continue
        for offset in range(0, len(piece), PAGE_SIZE):
            page = piece[offset : offset + PAGE_SIZE]
            if page != ZERO_PAGE:
                yield (start + offset) // PAGE_SIZE, page
