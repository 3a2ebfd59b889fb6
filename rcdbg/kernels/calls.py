"""System calls of user code by their numbers: what each is called, and what its arguments are.

The numbers are facts, in calls.toml; a description names one of its tables, and may add to it. By
the ABI of all these kernels the number is in a7, the arguments are in a0 to a5, the result in a0.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rcdbg.errors import UsageError
from rcdbg.kernels.user_code import SyscallsConcept

_FILE = Path(__file__).with_name("calls.toml")
_CALL = re.compile(r"(\d+|0x[0-9a-fA-F]+) +(\w+) *\((.*)\)")
_PARAMETER = re.compile(r"(\w+)(?: *: *(hex|text|pointer|signed|(in|out)\[(\w+)\]))?")
MAX_ARGUMENTS = 6
"""Registers that arguments are in: a0 to a5."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument's name and what it is.

    `kind` is "number", "hex", "signed"; or a pointer: "text" to a text that ends with a NUL, "in"
    and "out" to as many bytes as the parameter called `length` says, which the kernel reads or
    writes, "pointer" to anything else.
    """

    name: str
    kind: str = "number"
    length: str = ""
    bits: int = 64
    """How many of the register count."""


@dataclass(frozen=True, slots=True)
class SyscallShape:
    """A system call's name and its parameters, in the order of the registers."""

    name: str
    parameters: tuple[Parameter, ...]


def parse(text: str) -> tuple[int, SyscallShape]:
    """Number and signature of `64 write(fd, buf: in[len], len)`; raises UsageError for others."""
    found = _CALL.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no system call, such as 64 write(fd, buf: in[len], len)")
    number, name, listed = found.groups()
    parameters = []
    for word in listed.split(",") if listed.strip() else []:
        part = _PARAMETER.fullmatch(word.strip())
        if part is None:
            raise UsageError(f"{text!r}: {word.strip()!r} is no parameter, such as buf: in[len]")
        own, kind, direction, length = part.groups()
        parameters.append(Parameter(own, direction or kind or "number", length or ""))
    names = {parameter.name for parameter in parameters}
    if missing := [p.length for p in parameters if p.length and p.length not in names]:
        raise UsageError(f"{text!r} has no parameter {missing[0]}")
    if len(parameters) > MAX_ARGUMENTS:
        raise UsageError(f"{text!r}: a system call has {MAX_ARGUMENTS} arguments at the most")
    return int(number, 0), SyscallShape(name, tuple(parameters))


@lru_cache(maxsize=1)
def _tables() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def tables() -> tuple[str, ...]:
    """The names of the tables that a description may name."""
    return tuple(_tables())


@lru_cache(maxsize=16)
def described_calls(names: SyscallsConcept) -> Mapping[int, SyscallShape]:
    """The system calls that a description tells of, by number.

    Raises UsageError for a table that there is not, and for what is no system call.
    """
    found: dict[int, SyscallShape] = {}
    for table in names.table:
        if table not in _tables():
            known = ", ".join(tables())
            raise UsageError(f"[syscalls] table: there is no {table!r}; known are {known}")
        for number, text in _tables()[table].items():
            found.setdefault(*parse(f"{number} {text}"))
    return found | dict(parse(text) for text in names.calls)
