"""CSR decoding: values worked out by hand from the privileged specification's figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.riscv import causes, csr
from rcdbg.riscv.csr import SUPERVISOR_CSRS
from rcdbg.riscv.registers import ABI_NAMES


def values(name: str, value: int) -> dict[str, int]:
    return {f.name: f.value for f in csr.decode(name, value).fields}


def test_sstatus() -> None:
    fields = values("sstatus", 1 << 63 | 2 << 32 | 1 << 18 | 3 << 13 | 1 << 8 | 1 << 5)
    assert fields == {
        **dict.fromkeys(("SIE", "UBE", "VS", "XS", "MXR", "SPELP", "SDT"), 0),
        **dict.fromkeys(("SPIE", "SPP", "SUM", "SD"), 1),
        "FS": 3,
        "UXL": 2,
    }
    assert csr.decode("sstatus", 2 << 32 | 1 << 8 | 2).text == "SIE SPP=S UXL=64"


def test_satp() -> None:
    decoded = csr.decode("satp", 8 << 60 | 0x80A4E)
    assert decoded.text == "Sv39, root 0x80a4e000"
    assert values("satp", 8 << 60 | 5 << 44 | 0x80A4E) == {"MODE": 8, "ASID": 5, "PPN": 0x80A4E}
    assert csr.decode("satp", 0).text == "bare: no translation"
    assert csr.decode("satp", 5 << 60).reserved


def test_interrupt_bits() -> None:
    assert csr.decode("sie", 1 << 5 | 1 << 9).text == "STIE SEIE"
    assert csr.decode("sip", 1 << 1).text == "SSIP"
    assert csr.decode("sie", 0).text == "none set"


def test_stvec() -> None:
    assert csr.decode("stvec", 0x80200004).text == "direct, base 0x80200004"
    assert csr.decode("stvec", 0x80200005).text == "vectored, base 0x80200004"
    assert csr.decode("stvec", 0x80200006).reserved


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "breakpoint"),
        (15, "store page fault"),
        (1 << 63 | 5, "supervisor timer interrupt"),
        (10, "reserved or custom exception 10"),
        (1 << 63 | 17, "reserved or custom interrupt 17"),
    ],
)
def test_causes(value: int, words: str) -> None:
    assert causes.describe(value) == words
    assert csr.decode("scause", value).text == words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("breakpoint", 3),
        ("store page fault", 15),
        ("Store_Page_Fault", 15),
        ("timer", 1 << 63 | 5),
        ("page fault", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_causes_by_name(name: str, value: int | None) -> None:
    assert causes.named(name) == value


@given(st.sampled_from(SUPERVISOR_CSRS), st.integers(0, (1 << 64) - 1))
def test_fields_hold_every_defined_bit(name: str, value: int) -> None:
    """Put together again, the fields give the register, but for the bits that are reserved."""
    spec = csr.SPECS[name]
    decoded = csr.decode(name, value)
    if not spec.fields:
        assert decoded.value == value
        return
    whole = sum(f.value << s.low for f, s in zip(decoded.fields, spec.fields, strict=True))
    assert whole == value & sum(((1 << s.width) - 1) << s.low for s in spec.fields)


def test_register_names() -> None:
    assert len(ABI_NAMES) == len(set(ABI_NAMES)) == 32
    assert (ABI_NAMES[1], ABI_NAMES[2], ABI_NAMES[10], ABI_NAMES[31]) == ("ra", "sp", "a0", "t6")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("satp", 1 << 44),
        ("satp", 1),
        ("sepc", 0x80200001),
        ("scounteren", 1 << 32),
        ("sie", 1 << 4),
    ],
)
def test_what_is_reserved_is_flagged(name: str, value: int) -> None:
    assert csr.decode(name, value).reserved


@pytest.mark.parametrize(("name", "value"), [("sie", 1 << 16), ("satp", 0), ("sip", 0x222)])
def test_what_belongs_to_the_platform_is_not(name: str, value: int) -> None:
    assert not csr.decode(name, value).reserved


def test_before_any_trap_scause_names_no_cause() -> None:
    def scause(**values: int) -> str:
        return next(c.text for c in csr.decode_all(values) if c.name == "scause")

    assert scause(scause=0, sepc=0, stval=0) == csr.NO_TRAP
    assert scause(scause=0, sepc=0x80200002, stval=0) == "instruction address misaligned"
    assert scause(scause=0) == "instruction address misaligned", "the others are not known"


def test_every_csr_says_what_it_is_for_and_where_to_read_on() -> None:
    for name in (*SUPERVISOR_CSRS, "time", "privilege"):
        decoded = csr.decode(name, 1)
        assert decoded.about
        assert decoded.section
        assert all(f.about for f in decoded.fields)
