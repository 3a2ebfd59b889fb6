"""Places in programs: `hello:main`, `3:main`, `3:0x10000`, `hello:src/bin/hello.rs:12`.

In front of the colon stands a program's name or a process's number; the process need not be there
yet. Another process's code at the same address is another place.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.elf import Image
from rcdbg.image.programs.program import Program
from rcdbg.image.programs.shelf import programs_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.processes import process_root
from rcdbg.model.programs.code import code_at, program_in
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.registers import unsigned

MAX_PLACES = 64
"""Addresses that one place may have: those of a symbol in the programs that could be meant."""

_COLON = re.compile(r"(?<!:):(?!:)")
_LISTED = 8
_USER = 0


@dataclass(frozen=True, slots=True)
class UserPlace:
    """A place in the program of that name, or in the process of that number."""

    who: str
    where: str

    def __str__(self) -> str:
        return f"{self.who}:{self.where}"

    @property
    def process(self) -> int | None:
        """The process's number, if it is one that is named."""
        return int(self.who) if self.who.isdecimal() else None

    def addresses(self, image: Image, kernel: Kernel | None = None) -> tuple[int, ...]:
        """The virtual addresses that it may have, in any program that could be meant.

        Of a process that is there in `kernel`, that is its own alone. Raises UsageError if there
        is no such program, or none has such a place.
        """
        if self.where.startswith("0x"):
            return (_number(self.where),)
        own = None if kernel is None else self._own(kernel)
        if own is not None:
            found = set(_addresses_in(own, self.where))
            if not found:
                raise UsageError(self._missing([own]))
            return tuple(sorted(found))
        programs = list(self._programs(image))
        found = set()
        ambiguous: UsageError | None = None
        for program in programs:
            try:
                found.update(_addresses_in(program.image, self.where))
            except ImageError:
                continue
            except UsageError as error:
                ambiguous = error
        if not found:
            images = [program.image for program in programs[:_LISTED] if program.pieces]
            raise ambiguous or UsageError(self._missing(images))
        if len(found) > MAX_PLACES:
            raise UsageError(f"{self}: {len(found)} places are called so: name the program")
        return tuple(sorted(found))

    def is_here(self, kernel: Kernel) -> bool:
        """Whether the hart, which is at one of the addresses, is in that program or process."""
        if kernel.registers.privilege not in (_USER, None):
            return False
        pc = unsigned(kernel.registers.pc)
        code = code_at(kernel, kernel.memory.satp, pc)
        if self.process is None:
            return code is not None and self.who in code.names
        try:
            if not _in_process(kernel, self.process):
                return False
            # The address may be that of the place in another program.
            if self.where.startswith("0x") or code is None or code.image is None:
                return True
            return pc in _addresses_in(code.image, self.where)
        except (DecodeError, UsageError, ImageError):
            return False

    def _own(self, kernel: Kernel) -> Image | None:
        """The program of the process that is named, if that is there and its program is known."""
        if self.process is None:
            return None
        try:
            code = program_in(kernel, process_root(kernel, self.process).satp)
        except DecodeError:
            return None
        return None if code is None else code.image

    def _programs(self, image: Image) -> Iterator[Program]:
        """Those that could be meant; raises UsageError if there is none of that name."""
        every = programs_of(image).programs
        if self.process is not None:
            yield from every
            return
        fitting = [program for program in every if program.name == self.who]
        if not fitting:
            names = sorted({program.name for program in every})
            known = ", ".join(names[:_LISTED]) + ", ..." * (len(names) > _LISTED)
            which = f"known are {known}" if names else "none is known (see --programs)"
            raise UsageError(f"{self}: no program is called {self.who!r}: {which}")
        yield from fitting

    def _missing(self, images: list[Image]) -> str:
        near: list[str] = []
        for image in images:
            with suppress(ImageError):
                near += image.symbols.suggest(self.where)
        hint = f"; did you mean {near[0]}?" if near else ""
        whose = "no program that is known" if self.process is not None else self.who
        verb = "has" if self.process is not None else "has no"
        return f"{self}: {whose} {verb} place {self.where!r}{hint}"


def user_place(text: str) -> UserPlace | None:
    """What a text says that begins with a program or a process; None for a place in the kernel.

    `main:3` is one in the kernel: the third time that it comes there.
    """
    parts = _COLON.split(text.strip())
    who, where = parts[0].strip(), ":".join(parts[1:]).strip()
    if len(parts) < 2 or not who or not where or where.lstrip("-").isdecimal():
        return None
    return UserPlace(who, where)


def _addresses_in(image: Image, where: str) -> list[int]:
    """Where a symbol, or a line of a file, is in a program; raises UsageError if ambiguous."""
    file, colon, line = where.rpartition(":")
    if colon and line.isdecimal() and not file.endswith(":"):
        return image.lines.addresses(file, int(line))
    address = image.symbols.address_of(where)
    return [] if address is None else [address]


def _number(text: str) -> int:
    try:
        value = int(text, 16)
    except ValueError:
        raise UsageError(f"{text!r} is no address") from None
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{text} is not a 64-bit address")
    return value


def _in_process(kernel: Kernel, process: int) -> bool:
    """Whether the hart is in the address space of that process; raises DecodeError without it.

    Where all share a table: whether the thread that runs is of that process.
    """
    satp = kernel.memory.satp
    if satp.translates:
        return process_root(kernel, process).satp.root == satp.root
    current = read_processor(kernel).current
    own = None if current is None else current.process_id
    return current is not None and process == (current.id if own is None else own)
