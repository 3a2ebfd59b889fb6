"""Which memory a decoder read, and that memory again: how a running kernel is read consistently."""

from collections.abc import Iterable, Mapping

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Ram, Registers, Target
from rcdbg.riscv.pages import PAGE_SIZE


class RecordingTarget:
    """Passes reads on and remembers what they gave.

    `pieces` are the bytes by (physical address, size), the first time that each was read; `changed`
    says that one piece was read twice and differed.
    """

    def __init__(self, target: Target, registers: Registers) -> None:
        """`registers` stand for the machine's, which may change at any time."""
        self._target = target
        self._now = registers
        self.pieces: dict[tuple[int, int], bytes] = {}
        self.changed = False

    @property
    def ram(self) -> Ram | None:
        """Main memory."""
        return self._target.ram

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError as the target does."""
        data = self._target.read_phys(address, size)
        if self.pieces.setdefault((address, size), data) != data:
            self.changed = True
        return data

    def registers(self) -> Registers:
        """The registers that were given."""
        return self._now

    @property
    def pages(self) -> set[int]:
        """The numbers of all pages that were read."""
        found: set[int] = set()
        for address, size in self.pieces:
            found.update(range(address // PAGE_SIZE, (address + max(size, 1) - 1) // PAGE_SIZE + 1))
        return found

    def unchanged(self) -> bool:
        """Whether all that was read is still there, and the same."""
        if self.changed:
            return False
        read = self._target.read_phys
        return all(read(*where) == data for where, data in self.pieces.items())


class MissingPageError(MemoryReadError):
    """A page that was not copied: more of the memory is needed than was thought."""


class CopiedPages:
    """Copies of some pages, and of the registers.

    `asked` are the pages that readers wanted, by number; `missing` those of them with no copy.
    """

    def __init__(self, pages: Mapping[int, bytes], registers: Registers, ram: Ram | None) -> None:
        """`pages` by number."""
        self._pages = pages
        self._now = registers
        self._ram = ram
        self.asked: set[int] = set()
        self.missing: set[int] = set()

    @property
    def ram(self) -> Ram | None:
        """Main memory of the machine, of which there are a few pages here."""
        return self._ram

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError where no page was copied."""
        if self._ram is not None and not (
            self._ram.start <= address and size >= 0 and address + size <= self._ram.end
        ):
            raise MemoryReadError(address, size, "not in RAM")
        first = address // PAGE_SIZE
        parts = []
        for number in range(first, (address + max(size, 1) - 1) // PAGE_SIZE + 1):
            page = self._pages.get(number)
            self.asked.add(number)
            if page is None:
                self.missing.add(number)
                raise MissingPageError(address, size, "that page was not copied")
            parts.append(page)
        offset = address - first * PAGE_SIZE
        return b"".join(parts)[offset : offset + size]

    def registers(self) -> Registers:
        """The registers that were given."""
        return self._now


def copy_pages(target: Target, numbers: Iterable[int]) -> dict[int, bytes]:
    """These pages by number; those that the target does not have are left out."""
    found: dict[int, bytes] = {}
    for number in numbers:
        try:
            found[number] = target.read_phys(number * PAGE_SIZE, PAGE_SIZE)
        except MemoryReadError:
            continue  # whoever wants it is told so by the copy
    return found
