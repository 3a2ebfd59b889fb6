"""The S-mode CSRs: fields, what they mean, and what is reserved.

Privileged spec sections: sstatus 4.1.1, stvec 4.1.2, sip/sie 4.1.3, scounteren 4.1.5,
sscratch 4.1.6, sepc 4.1.7, scause 4.1.8, stval 4.1.9, satp 4.1.11.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rcdbg.riscv import causes, paging


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A bit field: its lowest bit, its width, what it does, and its values in words."""

    name: str
    low: int
    width: int
    about: str
    values: Mapping[int, str] = field(default_factory=dict)
    closed: bool = False
    """Whether values outside `values` are reserved."""

    def of(self, value: int) -> int:
        """The field's value within a register's value."""
        return value >> self.low & ((1 << self.width) - 1)


@dataclass(frozen=True, slots=True)
class CsrSpec:
    """A CSR: what it is for, and its fields; one without fields holds an address or a count."""

    name: str
    about: str
    fields: tuple[FieldSpec, ...] = ()
    known_mask: int | None = None
    """Bits that the specification defines; the others read as zero. None: every bit."""
    section: str = ""
    """Where the privileged specification tells more."""
    asked_for: bool = True
    """Whether a target is asked for it by this name; the others come by ways of their own."""


@dataclass(frozen=True, slots=True)
class CsrField:
    """A field with the value that a register has in it."""

    name: str
    value: int
    text: str
    about: str
    reserved: bool = False


@dataclass(frozen=True, slots=True)
class Csr:
    """A CSR's value, decoded. `text` is the short form for one line."""

    name: str
    value: int
    text: str
    about: str
    fields: tuple[CsrField, ...] = ()
    reserved: tuple[str, ...] = ()
    """What in it is reserved by the specification, in words."""
    section: str = ""
    """The section of the privileged specification."""


_OFF_ON = {0: "off", 1: "on"}
_CONTEXT_STATUS = {0: "off", 1: "initial", 2: "clean", 3: "dirty"}


def _flag(name: str, bit: int, about: str, values: Mapping[int, str] | None = None) -> FieldSpec:
    return FieldSpec(name, bit, 1, about, values or {})


def _mask(fields: tuple[FieldSpec, ...]) -> int:
    return sum(((1 << f.width) - 1) << f.low for f in fields)


def _interrupt_bits(prefix: str, verb: str) -> tuple[FieldSpec, ...]:
    return (
        _flag(f"SS{prefix}", 1, f"supervisor software interrupt {verb}"),
        _flag(f"ST{prefix}", 5, f"supervisor timer interrupt {verb}"),
        _flag(f"SE{prefix}", 9, f"supervisor external interrupt {verb}"),
        _flag(f"LCOF{prefix}", 13, f"counter overflow interrupt {verb} (Sscofpmf)"),
    )


_SSTATUS = (
    _flag("SIE", 1, "interrupts are taken in S-mode", _OFF_ON),
    _flag("SPIE", 5, "SIE before the last trap; sret copies it back", _OFF_ON),
    _flag("UBE", 6, "U-mode memory accesses are big-endian"),
    _flag("SPP", 8, "privilege before the last trap; sret returns to it", {0: "U", 1: "S"}),
    FieldSpec("VS", 9, 2, "vector state", _CONTEXT_STATUS),
    FieldSpec("FS", 13, 2, "floating-point state", _CONTEXT_STATUS),
    FieldSpec("XS", 15, 2, "state of other extensions", _CONTEXT_STATUS),
    _flag("SUM", 18, "S-mode may load from and store to pages with U"),
    _flag("MXR", 19, "loads may read pages that are only executable"),
    _flag("SPELP", 23, "landing pad expected before the last trap (Zicfilp)"),
    _flag("SDT", 24, "double-trap guard: a trap now is fatal (Ssdbltrp)"),
    FieldSpec("UXL", 32, 2, "register width in U-mode", {1: "32", 2: "64", 3: "128"}),
    _flag("SD", 63, "one of FS, VS, XS is dirty"),
)
_SIE = _interrupt_bits("IE", "enabled")
_SIP = _interrupt_bits("IP", "pending")
_STVEC = (
    FieldSpec("MODE", 0, 2, "how the trap vector is used", {0: "direct", 1: "vectored"}, True),
    FieldSpec("BASE", 2, 62, "address of the trap vector, divided by 4"),
)
_SATP = (
    FieldSpec("MODE", *paging.MODE, "translation scheme", paging.MODE_NAMES, True),
    FieldSpec("ASID", *paging.ASID, "address space identifier"),
    FieldSpec("PPN", *paging.PPN, "physical page number of the root page table"),
)
_SCAUSE = (
    _flag("Interrupt", 63, "an interrupt, not an exception"),
    FieldSpec("Code", 0, 63, "which one"),
)
_SCOUNTEREN = (
    _flag("CY", 0, "U-mode may read cycle"),
    _flag("TM", 1, "U-mode may read time"),
    _flag("IR", 2, "U-mode may read instret"),
    FieldSpec("HPM", 3, 29, "U-mode may read hpmcounter3 to hpmcounter31"),
)

_PRIVILEGE = (
    FieldSpec(
        "LEVEL", 0, 2, "what the hart may do", {0: "U", 1: "S", 3: "M"}, True,
    ),
)  # fmt: skip

_PLATFORM_INTERRUPTS = ~0xFFFF
"""Bits of sie and sip that belong to the platform: 16 and above."""

SPECS: dict[str, CsrSpec] = {
    spec.name: spec
    for spec in (
        CsrSpec("satp", "address translation: scheme and root page table", _SATP,
                section="4.1.11"),
        CsrSpec("stvec", "where traps enter the kernel", _STVEC, section="4.1.2"),
        CsrSpec("sstatus", "interrupt enable, previous privilege, memory rights", _SSTATUS,
                _mask(_SSTATUS), "4.1.1"),
        CsrSpec("sie", "interrupts that are enabled one by one", _SIE,
                _mask(_SIE) | _PLATFORM_INTERRUPTS, "4.1.3"),
        CsrSpec("sip", "interrupts that are pending", _SIP,
                _mask(_SIP) | _PLATFORM_INTERRUPTS, "4.1.3"),
        CsrSpec("scause", "why the last trap was taken", _SCAUSE, section="4.1.8"),
        CsrSpec("sepc", "the instruction that the last trap interrupted", section="4.1.7"),
        CsrSpec("stval", "the faulting address or instruction of the last trap",
                section="4.1.9"),
        CsrSpec("sscratch", "the kernel's own word: here the trap stack", section="4.1.6"),
        CsrSpec("scounteren", "counters that U-mode may read", _SCOUNTEREN,
                _mask(_SCOUNTEREN), "4.1.5"),
        CsrSpec("time", "the timer, in ticks of the timebase", section="4.1.4",
                asked_for=False),
        CsrSpec("privilege", "the privilege level; no register, but QEMU's stub tells it",
                _PRIVILEGE, section="1.2", asked_for=False),
    )
}  # fmt: skip
"""Also `privilege`, which is shown and explained like a CSR."""

SUPERVISOR_CSRS: tuple[str, ...] = tuple(spec.name for spec in SPECS.values() if spec.asked_for)
"""The S-mode CSRs that a target is asked for, in the order in which they are shown."""


def _field(spec: FieldSpec, value: int) -> CsrField:
    part = spec.of(value)
    reserved = spec.closed and part not in spec.values
    text = spec.values.get(part, f"{part:#x}" if spec.width > 4 else str(part))
    return CsrField(spec.name, part, "reserved" if reserved else text, spec.about, reserved)


def _short(name: str, value: int, fields: tuple[CsrField, ...]) -> str:
    """The register in a few words: set flags by name, others as NAME=value."""
    if name == "scause":
        return causes.describe(value)
    if name == "satp":
        mode, asid, ppn = fields
        if mode.value == 0:
            return "bare: no translation"
        return f"{mode.text}, root {ppn.value << 12:#x}" + (
            f", ASID {asid.value}" * bool(asid.value)
        )
    if name == "stvec":
        return f"{fields[0].text}, base {value & ~3:#x}"
    if name == "privilege":
        return fields[0].text
    if not fields:
        return ""
    spec = SPECS[name]
    words = []
    for item, part in zip(spec.fields, fields, strict=True):
        if item.width == 1 and not item.values.get(1, "on").isupper():
            if part.value:
                words.append(part.name)
        elif part.value or item.values.get(0, "").isupper():
            words.append(f"{part.name}={part.text}")
    return " ".join(words) or "none set"


def decode(name: str, value: int) -> Csr:
    """The CSR `name` with `value` taken apart; raises KeyError for a CSR that is not in SPECS."""
    spec = SPECS[name]
    fields = tuple(_field(f, value) for f in spec.fields)
    reserved = tuple(f"{f.name}={f.value} is reserved" for f in fields if f.reserved)
    if spec.known_mask is not None and value & ~spec.known_mask:
        reserved += (f"bits {value & ~spec.known_mask:#x} are reserved",)
    if name == "scause" and causes.describe(value).startswith("reserved"):
        reserved += (f"{causes.describe(value)}",)
    if name == "satp" and value and not paging.Satp(value).mode:
        reserved += ("in bare mode ASID and PPN must be 0",)
    if name == "sepc" and value & 1:
        reserved += ("bit 0 is always 0: an odd address is no instruction",)
    return Csr(name, value, _short(name, value, fields), spec.about, fields, reserved, spec.section)


NO_TRAP = "no trap yet: scause, sepc and stval are all 0"
"""What scause says where nothing was ever written to the three: 0 would name a cause."""


def decode_all(values: Mapping[str, int]) -> tuple[Csr, ...]:
    """The CSRs of one hart, in the order given.

    Unlike `decode`, it looks at them together: a scause of 0 is no misaligned fetch while sepc and
    stval are 0 as well, as they are after reset. (A trap at address 0 would look the same.)
    """
    found = [decode(name, value) for name, value in values.items()]
    if all(values.get(name) == 0 for name in ("scause", "sepc", "stval")):
        found = [replace(c, text=NO_TRAP) if c.name == "scause" else c for c in found]
    return tuple(found)
