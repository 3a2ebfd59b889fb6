"""Which ELF a user's own QEMU command line boots, and the same line for another one."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rcdbg.errors import UsageError
from rcdbg.image.locate import elf_of, is_made_of
from rcdbg.machine.qemu.own_line import OwnLine, parse

PLACE = "{kernel}"
"""Stands for the kernel in a line that is for many of them."""


def elf_booted(own: OwnLine) -> Path:
    """The ELF that a QEMU command line boots; raises UsageError or ImageError without one."""
    if own.kernel is not None:
        try:
            return elf_of(own.kernel)
        except UsageError:
            if not own.is_firmware:
                raise
    raise UsageError("this QEMU command line boots no kernel: name its ELF with --kernel")


def with_symbols_of(own: OwnLine, elf: Path) -> OwnLine:
    """The line as it boots when `elf` is named beside it: one without a kernel boots that."""
    if own.is_firmware and own.kernel is not None and not is_made_of(own.kernel, elf):
        return replace(own, kernel=None)
    return own


def line_for(words: Sequence[str], elf: Path, folder: Path) -> OwnLine:
    """The line that boots `elf` in place of the kernel that it names.

    `{kernel}` is replaced wherever it stands; all other files stay as they are, relative to
    `folder`. Raises UsageError for words that are no QEMU command line.
    """
    elf = elf.absolute()
    own = parse([_named(word, elf) for word in words], folder)
    if own.is_firmware and PLACE not in words:
        return replace(own, kernel=None)  # a firmware: the kernel is QEMU's -kernel
    return replace(own, kernel=elf if own.kernel is not None else None)


def _named(word: str, elf: Path) -> str:
    if word == PLACE:
        return str(elf)
    # Among properties, QEMU takes a comma for the end of one.
    return word.replace(PLACE, str(elf).replace(",", ",,"))


def words_of(line: str | Sequence[str]) -> tuple[str, ...]:
    """A command line's words; raises UsageError where a quotation does not end."""
    if not isinstance(line, str):
        return tuple(line)
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(f"{line!r} is no command line: {error}") from error
