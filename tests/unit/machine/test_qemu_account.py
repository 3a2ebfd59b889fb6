"""The human monitor's answers, parsed. The texts are QEMU 7.2's."""

import pytest

from rcdbg.machine.qemu.info import parse_info_registers
from tests.support.qemu_account import MappedRun, merge_runs, parse_gva2gpa, parse_info_mem

INFO_MEM = """\
vaddr            paddr            size             attr
---------------- ---------------- ---------------- -------
0000000080200000 0000000080200000 0000000000009000 r-x--a-
0000000080209000 0000000080209000 00000000001f7000 rw---ad
0000000080400000 0000000080400000 0000000000200000 rw---ad
0000000080600000 0000000080600000 0000000000200000 rw---ad
0000000080800000 0000000080900000 0000000000001000 rw---ad
ffffffff80000000 0000000080000000 0000000040000000 rwx--ad
"""

INFO_REGISTERS = """
CPU#0
 V      =   0
 pc       0000000080200000
 mstatus  8000000a00006080
 satp     8000000000080a4e
 x0/zero  0000000000000000 x1/ra    000000008000982a x2/sp    0000000080046ef0 x3/gp    00000000000000ff
 x8/s0    0000000080046f30 x9/s1    0000000000000001 x10/a0   0000000000000000 x11/a1   0000000087e00000
 f0/ft0   ffffffff00000000 f1/ft1   ffffffff00000000
"""  # noqa: E501


def test_runs_cut_at_table_borders_are_put_together() -> None:
    assert parse_info_mem(INFO_MEM) == [
        MappedRun(0x80200000, 0x80200000, 0x9000, "r-x--a-"),
        MappedRun(0x80209000, 0x80209000, 0x5F7000, "rw---ad"),
        MappedRun(0x80800000, 0x80900000, 0x1000, "rw---ad"),
        MappedRun(0xFFFFFFFF80000000, 0x80000000, 0x40000000, "rwx--ad"),
    ]


def test_only_true_neighbours_are_merged() -> None:
    base = MappedRun(0x1000, 0x8000, 0x1000, "rw")
    for other in (
        MappedRun(0x2000, 0xA000, 0x1000, "rw"),
        MappedRun(0x3000, 0x9000, 0x1000, "rw"),
        MappedRun(0x2000, 0x9000, 0x1000, "r-"),
    ):
        assert merge_runs([base, other]) == [base, other]
    assert merge_runs([base, MappedRun(0x2000, 0x9000, 0x3000, "rw")]) == [
        MappedRun(0x1000, 0x8000, 0x4000, "rw")
    ]
    assert merge_runs([]) == []


def test_a_bare_satp_maps_nothing() -> None:
    assert parse_info_mem("No translation or protection\n") == []


def test_an_empty_table_is_no_error() -> None:
    assert parse_info_mem("".join(INFO_MEM.splitlines(keepends=True)[:2])) == []


@pytest.mark.parametrize("text", ["", "unknown command: 'info mem'\n", INFO_MEM + "what\n"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="info mem"):
        parse_info_mem(text)


def test_gva2gpa() -> None:
    assert parse_gva2gpa("gpa: 0x80200abc\n") == 0x80200ABC
    assert parse_gva2gpa("gpa: 0\n") == 0
    assert parse_gva2gpa("Unmapped\n") is None
    with pytest.raises(ValueError, match="gva2gpa"):
        parse_gva2gpa("No CPU available\n")


def test_registers_have_both_their_names() -> None:
    values = parse_info_registers(INFO_REGISTERS)
    assert values["pc"] == 0x80200000
    assert values["satp"] == 8 << 60 | 0x80A4E
    assert values["x2"] == values["sp"] == 0x80046EF0
    assert values["x11"] == values["a1"] == 0x87E00000
    assert values["ft1"] == 0xFFFFFFFF00000000
    with pytest.raises(ValueError, match="info registers"):
        parse_info_registers("No CPU available\n")
