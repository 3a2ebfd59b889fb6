"""The log as QEMU 7.2 and 10.0 write it, whole, cut off anywhere, and with nonsense in between."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.trace.recorders.log_format import (
    MAX_STATE,
    HartState,
    Interrupt,
    Item,
    LogParser,
    NotExecuted,
)

STATE = """\
 V      =   0
 pc       0000000080000408
 mhartid  0000000000000000
 mstatus  8000000a00006800
 hstatus  0000000200000000
 vsstatus 0000000a00000000
 mip      0000000000000000
 mie      0000000000000008
 mideleg  0000000000001666
 hideleg  0000000000000000
 medeleg  0000000000f0b509
 hedeleg  0000000000000000
 mtvec    0000000080000408
 stvec    ffffffff8020a64c
 vstvec   0000000000000000
 mepc     ffffffff8020d64c
 sepc     0000000000000000
 vsepc    0000000000000000
 mcause   0000000000000009
 scause   0000000000000000
 vscause  0000000000000000
 mtval    0000000000000000
 stval    0000000000000000
 htval    0000000000000000
 mtval2   0000000000000000
 mscratch 0000000080047000
 sscratch ffffffff80a62490
 satp     8000000000080240
 x0/zero  0000000000000000 x1/ra    ffffffff8021f274 x2/sp    ffffffff80251d40 x3/gp    0000000000000000
 x4/tp    0000000080047000 x5/t0    ffffffffffffffbf x6/t1    ffffffff80232726 x7/t2    00000000000000f4
 x8/s0    ffffffff80251eb0 x9/s1    0000000000000011 x10/a0   000000000000006f x11/a1   0000000000000000
 x12/a2   0000000000000000 x13/a3   ffffffff80251f98 x14/a4   ffffffff80252210 x15/a5   0000000000000210
 x16/a6   0000000000000000 x17/a7   0000000000000001 x18/s2   ffffffff8023b1a0 x19/s3   ffffffff80251f98
 x20/s4   ffffffff80251f2f x21/s5   ffffffff8023459c x22/s6   ffffffff8021f22e x23/s7   0000000000000080
 x24/s8   00000000000000c0 x25/s9   0000000000000000 x26/s10  0000000060000020 x27/s11  0000000000000000
 x28/t3   ffffffff80252210 x29/t4   0000000000000002 x30/t5   0000000000000210 x31/t6   00000000000000e0
"""  # noqa: E501

FLOATS = "".join(f" f{n}/ft{n:<6}{n:016x}" + ("\n" if n % 4 == 3 else "") for n in range(32))
INTERRUPT = (
    "riscv_cpu_do_interrupt: hart:0, async:1, cause:0000000000000005, "
    "epc:0xffffffff80209578, tval:0x0000000000000000, desc=s_timer\n"
)
TRACE = "Trace 0: 0x7f0ca8000100 [0000000000000000/0000000080000408/00300003/00000000] \n"
STOPPED = "Stopped execution of TB chain before 0x7f0ca8000100 [0000000080000408] \n"
TRACE_10 = "Trace 0: 0x7f23b0420980 [00000000/ffffffff80209c2a/82424019/ff022200] \n"
STOPPED_10 = "Stopped execution of TB chain before 0x7f23b0421080 [ffffffff80209cb6] \n"
INTERRUPT_10 = (
    "riscv_cpu_do_interrupt: hart:0, async:0, cause:0000000000000003, "
    "epc:0x00000000800128f4, tval:0x00000000800128f4, desc=breakpoint\n"
)
LOG = (INTERRUPT + TRACE + STATE + STOPPED + TRACE + STATE + INTERRUPT + STATE).encode()


def items(*pieces: bytes) -> list[Item]:
    parser = LogParser()
    found = [item for piece in pieces for item in parser.feed(piece)]
    assert (parser.strange, parser.unfinished) == (0, 0)
    return found


def test_a_state_says_what_the_monitor_would() -> None:
    (state,) = items(STATE.encode())
    assert isinstance(state, HartState)
    # The monitor's `info registers` is the same text.
    values = parse_info_registers(STATE)
    assert state.pc == values["pc"] == 0x80000408
    assert state.x == tuple(values[f"x{n}"] for n in range(32))
    assert state.csrs["mepc"] == values["mepc"] != 0
    named = set(re.findall(r"^ (\w+) +[0-9a-f]{16}$", STATE, re.M))
    assert {name: values[name] for name in named} == state.csrs


def test_traps_and_blocks_that_were_left() -> None:
    found = items(LOG)
    assert [type(item) for item in found] == [
        *(Interrupt, HartState, NotExecuted, HartState, Interrupt, HartState),
    ]
    assert found[0] == Interrupt(0, True, 5, 0xFFFFFFFF80209578, 0)
    assert found[2] == NotExecuted(0x80000408)


def test_what_qemu_10_writes_otherwise() -> None:
    found = items((INTERRUPT_10 + TRACE_10 + STATE + STOPPED_10 + TRACE_10 + STATE).encode())
    assert [type(item) for item in found] == [Interrupt, HartState, NotExecuted, HartState]
    assert found[0] == Interrupt(0, False, 3, 0x800128F4, 0x800128F4)
    assert found[2] == NotExecuted(0xFFFFFFFF80209CB6)


@given(st.lists(st.integers(0, len(LOG)), max_size=12))
def test_it_may_be_cut_anywhere(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(LOG)]
    assert items(*(LOG[a:b] for a, b in pairwise(ends))) == items(LOG)


@given(st.binary(max_size=300), st.booleans())
def test_nonsense_costs_no_item_after_it(nonsense: bytes, known: bool) -> None:
    parser = LogParser()
    if known:
        assert len(parser.feed(STATE.encode())) == 1
    whole = nonsense.replace(b" x31/t6", b"")
    parser.feed(whole)
    found = parser.feed(b"\n" + LOG)
    assert list(found)[-6:] == items(LOG)


@given(st.integers(1, len(STATE) - 2))
def test_a_state_that_breaks_off_is_none(length: int) -> None:
    parser = LogParser()
    assert list(parser.feed(STATE[:length].encode())) == []
    assert list(parser.feed(b"\n" + INTERRUPT.encode())) == items(INTERRUPT.encode())
    assert parser.strange > 0


@given(st.integers(0, len(STATE) - 2), st.sampled_from("?\t\xe9"))
def test_a_damaged_state_is_none(at: int, character: str) -> None:
    damaged = STATE[:at] + character + STATE[at + 1 :]
    parser = LogParser()
    parser.feed(STATE.encode())
    found = [item for item in parser.feed((damaged + INTERRUPT).encode()) if item]
    kept = [item for item in found if isinstance(item, HartState)]
    # Damage among the names is another layout, in which that register is missing.
    assert all(item.x == items(STATE.encode())[0].x for item in kept)  # type: ignore[union-attr]
    assert isinstance(found[-1], Interrupt)


@pytest.mark.parametrize("endless", [b" x", b" \n", b"x", b" pc       00"])
def test_endless_text_is_given_up(endless: bytes) -> None:
    parser = LogParser()
    for _ in range(4 * MAX_STATE // len(endless) // 64):
        assert list(parser.feed(endless * 64)) == []
        assert parser.unfinished <= MAX_STATE + 64 * len(endless)
    assert parser.strange > 0


@pytest.mark.parametrize("status", ["", " fcsr     0000000000000000\n"])
def test_registers_for_floating_point_are_passed_over(status: str) -> None:
    log = (TRACE + STATE + status + FLOATS + INTERRUPT) * 2
    whole = items(log.encode())
    assert whole == items((STATE + INTERRUPT).encode()) * 2
    for cut in range(0, len(log), 7):
        assert items(log[:cut].encode(), log[cut:].encode()) == whole
