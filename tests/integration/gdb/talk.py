"""How tests talk with gdb: numbers that it says, registers that QEMU says."""

import re

from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.model.state import Context
from rcdbg.riscv.registers import ABI_NAMES
from tests.support.in_gdb import InGdb

MASK64 = (1 << 64) - 1


def entry(in_gdb: InGdb) -> int | None:
    return in_gdb.run.image.symbols.address_of("__interrupt")


def say(name: str, expression: str) -> str:
    """A gdb command that prints the number which an expression is."""
    value = f"int(gdb.parse_and_eval({expression!r})) & {MASK64:#x}"
    return f"python print('@{name}=%#x' % ({value}))"


def said(text: str, name: str) -> list[int]:
    return [int(number, 16) for number in re.findall(rf"@{name}=(0x[0-9a-f]+)", text)]


def registers_of(text: str) -> list[dict[str, int]]:
    """Each `monitor info registers` in the text."""
    return [parse_info_registers(" pc " + part) for part in re.split(r"\n ?pc ", text)[1:]]


def printed(text: str, name: str) -> list[str]:
    """What was printed after each `echo @NAME:`."""
    return re.findall(rf"@{name}:\$\d+ = (.*)", text)


def show(name: str, command: str) -> tuple[str, str]:
    return f"echo @{name}:", command


def contexts(in_gdb: InGdb) -> dict[int, Context]:
    """What each thread goes on with, from memory, with the kernel at the start of its handler."""
    state = in_gdb.run.state()
    found = {t.id: t.context for t in state.processor.ready}
    if state.processor.current is not None:
        found[state.processor.current.id] = state.trap.context
    return {i: context for i, context in found.items() if i is not None and context is not None}


def goes_on_with(registers: dict[str, int], context: Context) -> bool:
    """Whether QEMU has in the hart what the Context has in memory."""
    return (registers["pc"], *(registers[name] for name in ABI_NAMES)) == (
        context.sepc.address,
        *context.x,
    )


WHERE = (say("id", "$rc_current().id"), "monitor info registers")
