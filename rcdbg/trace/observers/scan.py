"""The executable code of an image, instruction by instruction, and what is found in it."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rcdbg.image.elf import Image
from rcdbg.riscv import code
from rcdbg.riscv.code import Jump


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Addresses of the instructions that matter for tracing, and all direct jumps.

    `satp_written` are the addresses of the instructions behind those that write satp.
    """

    ecalls: tuple[int, ...]
    waits: tuple[int, ...]
    satp_written: tuple[int, ...]
    jumps: tuple[Jump, ...]


@lru_cache(maxsize=8)
def scan(image: Image) -> CodeMap:
    """Look through all executable sections of the image."""
    ecalls, waits, satp_written = [], [], []
    jumps: list[Jump] = []
    for address, data in pieces(image):
        for at, encoding in code.instructions(data, address):
            if encoding == code.ECALL:
                ecalls.append(at)
            elif encoding == code.WFI:
                waits.append(at)
            elif code.csr_written(encoding) == code.SATP:
                satp_written.append(at + code.size_of(encoding))
        jumps.extend(code.jumps(data, address))
    return CodeMap(tuple(ecalls), tuple(waits), tuple(satp_written), tuple(jumps))


def pieces(image: Image) -> Iterator[tuple[int, bytes]]:
    """The code from each symbol to the next, so that data between them misleads at most once."""
    symbols = sorted({s.address for s in image.symbols if s.kind != "data"})
    for section in image.sections:
        if "x" not in section.flags or not section.size:
            continue
        end = section.address + section.size
        inside = symbols[bisect_left(symbols, section.address) : bisect_left(symbols, end)]
        starts = sorted({section.address, *inside})
        for start, stop in zip(starts, [*starts[1:], end], strict=True):
            data = image.read(start, stop - start)
            if data:
                yield start, data


def body(image: Image, address: int) -> bytes:
    """The code of the function that starts at `address`, as far as its symbol reaches."""
    symbol = image.symbols.covering(address)
    if symbol is None or not symbol.size:
        return next((data for start, data in pieces(image) if start == address), b"")
    return image.read(address, symbol.address + symbol.size - address) or b""
