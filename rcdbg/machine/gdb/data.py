"""What gdb gives of the guest that stands: registers, memory, stack frames, code."""

from collections.abc import Callable, Sequence
from functools import cached_property

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Registers
from rcdbg.machine.gdb.guest import GuestState
from rcdbg.machine.gdb.mi import GdbError, Payload, quote
from rcdbg.machine.gdb.records import (
    Frame,
    MiInstruction,
    frame_of,
    hexadecimal,
    instructions_of,
)
from rcdbg.machine.stub.dialect import HART_REGISTER, PRIVILEGE_REGISTER
from rcdbg.riscv.registers import ABI_NAMES, GDB_NAMES, unsigned

Command = Callable[[str], Payload]


class GdbData:
    """Questions by `command`; `csrs` are those that `registers` reads."""

    def __init__(self, command: Command, guest: GuestState, csrs: Sequence[str]) -> None:
        self._command = command
        self._guest = guest
        self._csrs = tuple(csrs)
        self._numbers: dict[str, int] = {}

    def learn_registers(self) -> None:
        """Ask gdb how it numbers registers; once it is connected."""
        names = self._command("-data-list-register-names")["register-names"]
        self._numbers = {name: number for number, name in enumerate(names) if name}

    @cached_property
    def harts(self) -> int:
        """How many harts there are: gdb has a thread for each."""
        return max(1, len(self._command("-thread-info").get("threads", [])))

    def registers(self) -> Registers:
        """The registers of the hart that stopped, whatever frame is selected."""
        general = [
            gdbs if gdbs in self._numbers else name
            for gdbs, name in zip(GDB_NAMES, ABI_NAMES, strict=True)
        ]
        names = [*general, "pc", *self._csrs, PRIVILEGE_REGISTER, HART_REGISTER]
        wanted = {self._numbers[name]: name for name in names if name in self._numbers}
        if not wanted:
            raise GdbError("gdb is not connected to a machine")
        listed = " ".join(map(str, wanted))
        answer = self._command(f"-data-list-register-values --skip-unavailable x {listed}")
        values: dict[str, int] = {}
        for row in answer.get("register-values", []):
            value = hexadecimal(row.get("value"))
            if value is not None:
                values[wanted[int(row["number"])]] = unsigned(value)
        missing = [name for name in (*general, "pc") if name not in values]
        if missing:
            raise GdbError(f"gdb gives no value for {', '.join(missing)}")
        privilege = values.get(PRIVILEGE_REGISTER)
        return Registers(
            pc=values["pc"],
            x=tuple(values[name] for name in general),
            csrs={name: values[name] for name in self._csrs if name in values},
            privilege=None if privilege is None else privilege & 3,
            hart=values.get(HART_REGISTER) if self.harts > 1 else None,
            harts=self.harts,
        )

    def read_memory(self, address: int, size: int) -> bytes:
        """`size` bytes at virtual `address`; raises MemoryReadError."""
        try:
            answer = self._command(f"-data-read-memory-bytes {address:#x} {size}")
        except GdbError as error:
            if not self._guest.readable:
                raise
            raise MemoryReadError(address, size, str(error)) from error
        data = b"".join(bytes.fromhex(block["contents"]) for block in answer["memory"])
        if len(data) != size:
            raise MemoryReadError(address, size, "not all of it is mapped")
        return data

    def evaluate(self, expression: str) -> str:
        """The value of `expression` in the selected frame, as gdb prints it."""
        return str(self._command(f"-data-evaluate-expression {quote(expression)}")["value"])

    def frames(self, limit: int = 32) -> list[Frame]:
        """The innermost `limit` stack frames."""
        answer = self._command(f"-stack-list-frames 0 {limit - 1}")
        return [frame_of(row) for row in answer.get("stack", [])]

    def disassemble(self, pc: int, count: int) -> list[MiInstruction]:
        """Up to `count` instructions from `pc` on, each with its source line where known.

        Fewer where memory ends; raises GdbError if there is none at `pc`.
        """
        span = f"-s {pc:#x} -e {pc + 4 * count:#x}"
        rows = self._command(f"-data-disassemble {span} -- 5").get("asm_insns", [])
        found = {
            instruction.address: instruction for row in rows for instruction in instructions_of(row)
        }
        return [found[address] for address in sorted(found)][:count]
