"""System calls by their numbers: names, arguments, and what these point to in user memory."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.errors import UsageError
from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.kernels import calls
from rcdbg.kernels.calls import Parameter, SyscallShape
from rcdbg.kernels.description import Names
from rcdbg.kernels.reading import overlay_of
from rcdbg.kernels.recognise import families, family
from rcdbg.kernels.user_code import SyscallsConcept
from rcdbg.model.syscalls.call import number_text, quoted
from rcdbg.model.syscalls.decode import decode_syscall

BASE = 0x8000_0000
PAGE = 0x1000
GREETING = "Hello, Grüße\n".encode()
WRITE = {64: calls.parse("64 write(fd, buf: in[len], len)")[1],
         56: calls.parse("56 open(path: text, flags: hex)")[1]}  # fmt: skip


def user_memory(data: bytes, at: int = BASE) -> VirtualMemory:
    """Physical memory of two pages, without paging, with these bytes."""
    ram = bytearray(2 * PAGE)
    ram[at - BASE : at - BASE + len(data)] = data
    target = RamTarget(memoryview(ram), BASE, lambda: Registers(0, (0,) * 32, {}))
    return VirtualMemory(target, 0)


def registers(number: int, *arguments: int) -> tuple[int, ...]:
    x = [0] * 32
    x[17] = number
    x[10 : 10 + len(arguments)] = arguments
    return tuple(x)


def test_a_write_in_words() -> None:
    memory = user_memory(GREETING, BASE + 0x10)
    found = decode_syscall(WRITE, registers(64, 1, BASE + 0x10, len(GREETING)), memory)
    assert found.shown == f'syscall 64 write(fd=1, buf=0x80000010, len={len(GREETING)})' \
        ' "Hello, Grüße\\n"'  # fmt: skip
    assert found.arguments[1].physical == BASE + 0x10


def test_a_text_ends_with_its_nul() -> None:
    memory = user_memory(b"/bin/sh\0rest")
    assert decode_syscall(WRITE, registers(56, BASE, 0x201), memory).shown == (
        'syscall 56 open(path=0x80000000, flags=0x201) "/bin/sh"'
    )


def test_a_number_that_nobody_knows() -> None:
    found = decode_syscall(WRITE, registers(999, 7, 8), user_memory(b""))
    assert found.shown == "syscall 999, not known"
    assert found.words[:2] == (7, 8)
    assert decode_syscall(WRITE, registers(-1 & (1 << 64) - 1), None).shown.endswith("not known")


def test_what_cannot_be_read_is_said() -> None:
    """The bytes begin in the last page and would go on behind it; or lie nowhere."""
    memory = user_memory(b"tail", BASE + 2 * PAGE - 4)
    there = decode_syscall(WRITE, registers(64, 1, BASE + 2 * PAGE - 4, 100), memory)
    assert there.arguments[1].text is not None
    assert there.arguments[1].text.data == b"tail"
    assert "cannot read" in there.arguments[1].text.note
    nowhere = decode_syscall(WRITE, registers(64, 1, 0x10, 5), memory)
    assert nowhere.shown == "syscall 64 write(fd=1, buf=0x10, len=5)"
    assert decode_syscall(WRITE, registers(64, 1, BASE, 5), None).arguments[1].text is None


def test_a_register_that_is_not_known() -> None:
    found = decode_syscall(WRITE, registers(64, 1, BASE, 0), user_memory(b""), has_a0=False)
    assert found.shown == 'syscall 64 write(fd=?, buf=0x80000000, len=0) ""'
    assert found.words[0] is None


@given(st.binary(max_size=200))
def test_any_bytes_are_one_bounded_printable_line(data: bytes) -> None:
    text = quoted(data)
    assert text.isprintable()
    assert len(text) <= 64 * 8 + 5
    assert text.endswith('..."'[:0] or ('"...' if len(data) > 64 else '"'))


@given(st.text(alphabet=st.characters(categories=["L", "N"]), max_size=30))
def test_letters_of_any_script_are_themselves(text: str) -> None:
    data = text.encode()
    wanted = text if len(data) <= 64 else data[:64].decode("utf-8", "ignore")
    assert quoted(data).strip(".")[1:-1] == wanted


@pytest.mark.parametrize(
    ("value", "parameter", "text"),
    [
        (12, Parameter("len"), "12"),
        ((1 << 64) - 1, Parameter("pid"), "-1"),
        ((1 << 64) - 3, Parameter("code", "signed", bits=32), "-3"),
        (0xFFFF_FFFF, Parameter("code", "signed", bits=32), "-1"),
        (0x8020_0000, Parameter("a"), "0x80200000"),
        (1 << 63, Parameter("a"), "0x8000000000000000"),
        (16, Parameter("flags", "hex"), "0x10"),
        (0x101, Parameter("signum", bits=8), "1"),
    ],
)
def test_numbers_as_one_reads_them(value: int, parameter: Parameter, text: str) -> None:
    assert number_text(value, parameter) == text


@pytest.mark.parametrize(
    "text",
    ["write(fd)", "64 write", "64 write(fd: nonsense)", "64 write(buf: in[len])",
     "64 f(a, b, c, d, e, f, g)"],
)  # fmt: skip
def test_what_is_no_system_call(text: str) -> None:
    with pytest.raises(UsageError):
        calls.parse(text)
    with pytest.raises(UsageError, match=r"p\.toml: \[syscalls\] calls"):
        overlay_of(f'[syscalls]\ncalls = "{text}"'.encode(), "p.toml")


def test_a_table_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="known are"):
        overlay_of(b'[syscalls]\ntable = "minix"', "p.toml")


def test_all_tables_can_be_read_and_the_first_counts() -> None:
    for name in calls.tables():
        assert calls.described_calls(SyscallsConcept(table=Names((name,))))
    both = calls.described_calls(SyscallsConcept(table=Names(("rcore", "linux"))))
    assert both[56].name == "open"
    assert both[48].name == "faccessat"
    own = calls.described_calls(
        SyscallsConcept(table=Names(("rcore",)), calls=Names(("56 openat(fd, path: text)",)))
    )
    assert own[56] == SyscallShape("openat", (Parameter("fd"), Parameter("path", "text")))
    assert all(described.syscalls.table for described in families())


def test_linux_has_the_numbers_of_its_header() -> None:
    """Numbers that every Linux on riscv64 has (asm-generic/unistd.h)."""
    linux = calls.described_calls(SyscallsConcept(table=Names(("linux",))))
    assert {linux[n].name for n in (63, 64, 93, 124, 172, 220, 221, 222, 260)} == {
        "read", "write", "exit", "sched_yield", "getpid", "clone", "execve", "mmap", "wait4",
    }  # fmt: skip


def test_the_file_is_packed() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert "kernels/calls.toml" in project["tool"]["setuptools"]["package-data"]["rcdbg"]
    assert family("xv6").syscalls.functions
