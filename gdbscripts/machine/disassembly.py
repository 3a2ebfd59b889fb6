"""What gdb prints as `.insn`, in words: CSR instructions, which no ELF claims to have.

gdb only knows instructions of the extensions that the ELF claims, and those of Zicsr are none that
compilers claim. Source of the interface: gdb manual, node "Disassembly In Python" (from gdb 13 on).
"""

import importlib
from collections.abc import Callable
from typing import Any

import gdb

from rcdbg.riscv.instructions.decode import in_words

_ARCHITECTURES = ("riscv", "riscv:rv64", "riscv:rv32")


def register() -> None:
    """Have gdb ask us about each instruction; without effect in a gdb that cannot."""
    try:
        # By its full name: the attribute of that name is the half of it that is written in C.
        disassembler = importlib.import_module("gdb.disassembler")
    except ImportError:  # before gdb 13
        return
    for architecture in _ARCHITECTURES:
        disassembler.register_disassembler(_made(disassembler), architecture)


def _made(disassembler: Any) -> Callable[[Any], Any]:
    """A disassembler of gdb's interface, whose base class is only there in a new gdb."""

    class Words(disassembler.Disassembler):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("rcdbg")

        def __call__(self, info: Any) -> Any:
            found = disassembler.builtin_disassemble(info)
            try:
                data = bytes(info.read_memory(found.length))
            except gdb.MemoryError:
                return found
            words = in_words(found.string, data, info.address)
            if words == found.string:
                return found
            return disassembler.DisassemblerResult(found.length, words)

    return Words()
