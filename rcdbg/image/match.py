"""Whether an ELF is the kernel that runs: people rebuild, and forget that QEMU has the old one."""

from collections.abc import Callable, Iterator

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.image.elf import Image

SAMPLES = 24
"""How many places of the code are compared: each may be a packet to gdb's stub."""

SAMPLE_SIZE = 128
"""In bytes."""

_NOTE = ".note.gnu.build-id"
_BREAKPOINTS = (bytes.fromhex("73001000"), bytes.fromhex("0290"))  # ebreak, c.ebreak

_ADVICE = "start it again, or give the ELF it was started from"

Read = Callable[[int, int], bytes]
"""Guest memory: (physical address, size in bytes) to bytes; raises MemoryReadError."""


def doubt_of(image: Image, read: Read) -> str | None:
    """Why the image may not be the kernel in memory, in one sentence; None when it is.

    Equal build ids settle it. Else samples of the code are compared, which no kernel changes;
    breakpoints that a debugger wrote into them do not count. Where a few differ, somebody may have
    patched the code; where there is nothing to compare, it is not known. Raises ImageError where
    most differ, or the build id does: it is another kernel.
    """
    note = _note_in_memory(image, read)
    if note is not None:
        expected, found = note
        if found == expected:
            return None
        if found[:16] == expected[:16]:
            raise ImageError(
                f"{image.path} is not the kernel that runs: that one has build id"
                f" {found[16:].hex()[:12]}, this file {expected[16:].hex()[:12]}; {_ADVICE}"
            )
    return _compare_samples(image, read)


def _note_in_memory(image: Image, read: Read) -> tuple[bytes, bytes] | None:
    """The build id note as it is in the file and in memory; None when it is not loaded."""
    section = image.section(_NOTE)
    if section is None or "a" not in section.flags or not 16 < section.size <= 256:
        return None
    expected = image.read(section.address, section.size)
    physical = image.physical(section.address)
    if expected is None or physical is None:
        return None
    try:
        return expected, read(physical, section.size)
    except MemoryReadError:
        return None  # the samples tell whether the code can be read


def _compare_samples(image: Image, read: Read) -> str | None:
    pairs: list[tuple[int, bytes, bytes]] = []
    unread: MemoryReadError | None = None
    for address, size in _samples(image):
        physical = image.physical(address)
        expected = image.read(address, size)
        if physical is None or expected is None:
            continue
        try:
            pairs.append((address, expected, read(physical, size)))
        except MemoryReadError as error:
            unread = unread or error
    if unread is not None and not pairs:
        raise ImageError(f"{image.path} cannot be the kernel that runs: {unread}") from unread
    if not any(any(found) for _, _, found in pairs):
        why = "its code is not loaded yet, or lies elsewhere" if pairs else "it has no code"
        return f"it is not known whether {image.path} is the kernel that runs: {why}"
    different = [address for address, expected, found in pairs if not same_code(expected, found)]
    if not different:
        return None
    says = f"{len(different)} of {len(pairs)} samples differ, the first at {different[0]:#x}"
    if 2 * len(different) > len(pairs):
        raise ImageError(
            f"{image.path} is not the kernel that runs, or something overwrote its code: {says};"
            f" {_ADVICE}"
        )
    return f"{image.path} may not be the kernel that runs, or something changed its code: {says}"


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


def same_code(expected: bytes, found: bytes) -> bool:
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
