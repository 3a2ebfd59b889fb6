"""The registers of the hart that stopped, by the names in the stub's own description."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from rcdbg.guest.protocol import Registers
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.qemu import timer
from rcdbg.machine.stub import packets
from rcdbg.machine.stub.clock import StubClock
from rcdbg.machine.stub.dialect import HART_REGISTER, PRIVILEGE_REGISTER, READ_CHUNK
from rcdbg.machine.stub.harts import StubHarts
from rcdbg.machine.stub.link import StubLink
from rcdbg.machine.stub.wire import StubError

_PC = "pc"
_MAX_FILES, _MAX_DESCRIPTION = 64, 1 << 20
"""Of a register description, the second in bytes: QEMU's has 4 files, together 50 KB."""


class StubRegisters:
    """Registers over `link`; `csrs` are those that `read` gives.

    Raises StubError if the stub does not describe its registers.
    """

    def __init__(self, link: StubLink, csrs: Sequence[str]) -> None:
        self._link = link
        self._numbers = numbers = _numbers(link)
        if _PC not in numbers:
            raise StubError(f"the stub at {link.address} describes no register {_PC!r}")
        self.pc_number = numbers[_PC]
        self.harts = StubHarts(link, numbers.get(HART_REGISTER))
        self._questions: dict[Sequence[str], tuple[list[str], list[bytes]]] = {}
        self._read_always = (*csrs, PRIVILEGE_REGISTER)

    def read(self, clock: StubClock | None = None) -> Registers:
        """All GPRs, the pc, the CSRs and the privilege of the hart that stopped.

        With `time`, by `clock`, which is no register of the stub's: up to three packets more.
        """
        harts = self.harts.count
        always = (*self._read_always, HART_REGISTER) if harts > 1 else self._read_always
        names, wanted = self.questions(always)
        ask_clock, at = clock.questions() if clock is not None else ([], 0)
        general, *answers = self._link.exchange([*wanted, *ask_clock])
        values = dict(zip(names, map(packets.number, answers), strict=False))
        if clock is not None and ask_clock:
            values[timer.NAME] = clock.understood(answers[len(names) :], at)
        return packets.registers(general, values, harts)

    def questions(self, names: Sequence[str]) -> tuple[list[str], list[bytes]]:
        """Packets for all GPRs and the pc, then for those of the names that the stub has.

        And those names. The same are asked for at each of many stops: they are kept.
        """
        key = tuple(names)
        if key not in self._questions:
            known = [name for name in key if name in self._numbers]
            asked = packets.ask_registers(self._numbers[name] for name in known)
            self._questions[key] = known, [packets.GENERAL, *asked]
        return self._questions[key]

    def csrs(self, names: Sequence[str]) -> dict[str, int]:
        """Those of the named CSRs that the stub has, of any privilege level."""
        return self._values({n: self._numbers[n] for n in names if n in self._numbers})

    def every(self) -> dict[str, int]:
        """All that the stub has, by its own names: GPRs, CSRs of all levels, floating point."""
        return self._values(self._numbers)

    def _values(self, numbers: dict[str, int]) -> dict[str, int]:
        answers = self._link.exchange(packets.ask_registers(numbers.values()))
        values = zip(numbers, map(packets.number, answers), strict=True)
        return {name: value for name, value in values if value is not None}

    def pc(self) -> int:
        """The pc alone."""
        value = packets.number(self._link.exchange(packets.ask_registers([self.pc_number]))[0])
        if value is None:
            raise StubError("the stub does not give the pc")
        return value

    def write(self, name: str, value: int) -> None:
        """Set a register by the name in the stub's description ("pc", "a0", "satp", ...)."""
        number = self._numbers.get(name)
        if number is None:
            raise StubError(f"the stub knows no register {name!r}")
        self._link.changes += 1
        self._link.demand_ok(packets.set_register(number, value))


def _numbers(link: StubLink) -> dict[str, int]:
    """Register numbers by name; until asked for this, QEMU answers no `p` at all.

    Format: gdb manual, appendix "Target Descriptions".
    """
    numbers: dict[str, int] = {}
    number = 0
    for text in _descriptions(link):
        plain = re.sub(r"<xi:include[^>]*/>", "", text)
        try:
            root = ElementTree.fromstring(plain)
            for register in root.iter("reg"):
                number = int(register.get("regnum", number))
                numbers[register.get("name", "")] = number
                number += 1
        except (ElementTree.ParseError, ValueError) as error:
            raise StubError(f"the stub's register description is broken: {error}") from error
    return numbers


def _descriptions(link: StubLink) -> list[str]:
    """The stub's target.xml, and the files that it includes; one answer, as for its deadline."""
    with link.wire.answering() as deadline:
        target = _transfer(link, "target.xml", deadline)
        files = re.findall(r'<xi:include href="([^"]+)"', target)
        if len(files) > _MAX_FILES:
            raise StubError(f"the stub's register description has {len(files)} files")
        return [target, *(_transfer(link, file, deadline) for file in files)]


def _transfer(link: StubLink, file: str, deadline: Deadline) -> str:
    text = b""
    while len(text) <= _MAX_DESCRIPTION:
        request = b"qXfer:features:read:%b:%x,%x" % (file.encode(), len(text), READ_CHUNK)
        answer = link.exchange([request])[0]
        text += answer[1:]
        if answer[:1] == b"l":
            return text.decode("utf-8", "replace")
        if answer[:1] != b"m" or len(answer) == 1:
            raise StubError(f"the stub does not describe its registers: {file}: {answer!r}")
        if deadline.expired:
            raise DeadlineError("the description has no end")
    raise StubError(f"the stub's register description has no end: {file}")
