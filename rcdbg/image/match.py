"""Whether an ELF is the kernel that runs: people rebuild, and forget that QEMU has the old one."""

from collections.abc import Callable, Iterator

from rcdbg.errors import MemoryReadError
from rcdbg.image.elf import Image

SAMPLES = 24
"""How many places of the code are compared: each may be a packet to gdb's stub."""

SAMPLE_SIZE = 128
"""In bytes."""

_NOTE = ".note.gnu.build-id"
_BREAKPOINTS = (bytes.fromhex("73001000"), bytes.fromhex("0290"))  # ebreak, c.ebreak

Read = Callable[[int, int], bytes]
"""Guest memory: (physical address, size in bytes) to bytes; raises MemoryReadError."""


def differs_from_memory(image: Image, read: Read) -> str | None:
    """Why the image cannot be the kernel in memory, in one sentence; None when it is.

    Equal build ids settle it. Else samples of the code are compared, which no kernel changes;
    breakpoints that a debugger wrote into them do not count.
    """
    try:
        note = _note_in_memory(image, read)
        if note is not None:
            expected, found = note
            if found == expected:
                return None
            if found[:16] == expected[:16]:
                return (
                    f"{image.path} is not the kernel that runs: that one has build id"
                    f" {found[16:].hex()[:12]}, this file {expected[16:].hex()[:12]};"
                    " start it again, or give the ELF it was started from"
                )
        return _compare_samples(image, read)
    except MemoryReadError as error:
        return f"{image.path} cannot be the kernel that runs: {error}"


def _note_in_memory(image: Image, read: Read) -> tuple[bytes, bytes] | None:
    """The build id note as it is in the file and in memory; None when it is not loaded."""
    section = image.section(_NOTE)
    if section is None or "a" not in section.flags or not 16 < section.size <= 256:
        return None
    expected = image.read(section.address, section.size)
    physical = image.physical(section.address)
    if expected is None or physical is None:
        return None
    return expected, read(physical, section.size)


def _compare_samples(image: Image, read: Read) -> str | None:
    total = 0
    different = []
    empty = True
    for address, size in _samples(image):
        physical = image.physical(address)
        expected = image.read(address, size)
        if physical is None or expected is None:
            continue
        found = read(physical, size)
        total += 1
        empty = empty and not any(found)
        if not _same(expected, found):
            different.append(address)
    if not different:
        return None
    if empty:
        return (
            f"{image.path} is not in memory: there are only zeros where it belongs;"
            " the kernel is not loaded yet, or lies elsewhere"
        )
    return (
        f"{image.path} is not the kernel that runs, or something overwrote its code:"
        f" {len(different)} of {total} samples differ, the first at {different[0]:#x};"
        " start it again, or give the ELF it was started from"
    )


def _samples(image: Image) -> Iterator[tuple[int, int]]:
    """Places spread evenly over all code of the file: virtual address and size.

    Only code: kernels keep stacks, heaps and buffers in sections that are read-only by their flags.
    """
    parts = [(s.address, s.size) for s in image.sections if s.size and {"a", "x"} <= {*s.flags}]
    if not parts:
        parts = [(s.vaddr, s.file_size) for s in image.segments if "x" in s.flags and s.file_size]
    total = sum(size for _, size in parts)
    for number in range(SAMPLES):
        # The last one ends with the last byte: a change near the end shifts nothing before it.
        position = max(total - SAMPLE_SIZE, 0) * number // (SAMPLES - 1)
        for address, size in parts:
            if position < size:
                # Instructions start at even addresses.
                start = position & ~1
                yield address + start, min(SAMPLE_SIZE + 1, size - start)
                break
            position -= size
        if total <= SAMPLE_SIZE:
            return


def _same(expected: bytes, found: bytes) -> bool:
    """Whether the bytes are equal, but for breakpoint instructions."""
    if expected == found:
        return True
    patched = bytearray(found)
    for index in range(0, len(expected), 2):
        if patched[index : index + 2] == expected[index : index + 2]:
            continue
        for instruction in _BREAKPOINTS:
            end = index + len(instruction)
            # One cut off by the end of the sample counts as well.
            if patched[index:end] == instruction[: len(expected) - index]:
                patched[index:end] = expected[index:end]
                break
        else:
            return False
    return bytes(patched) == expected
