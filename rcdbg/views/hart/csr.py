"""The supervisor CSRs: values, words, and every field explained."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.state import Hart, Place
from rcdbg.model.threads.explain import ExplainedCsr
from rcdbg.riscv.csr import SPECS, SUPERVISOR_CSRS, Csr, CsrField, FieldSpec
from rcdbg.views import palette
from rcdbg.views.common import MARK, guest, hexadecimal, marked, note_line, source, styled, symbol
from rcdbg.views.layout import Column, Fitted, Row, flow, listing

_POINTERS = frozenset({"stvec", "sepc", "stval", "sscratch"})
_LEAST_WORDS, _NAME_WIDTH = 32, 10
_COLUMNS = (Column(""), Column(""), Column(""))


def view(
    hart: Hart, previous: Hart | None = None, places: Mapping[int, Place] | None = None
) -> RenderableType:
    """Name, value and meaning of each CSR; what is reserved is called so.

    `places` says what stands at an address, for the CSRs that hold one.
    """
    if not hart.csrs:
        return note_line("the target gives no CSRs")
    missing = [name for name in SUPERVISOR_CSRS if hart.csr(name) is None]
    pointed = {place.address: place for place in hart.pointed}
    places = {**pointed, **(places or {})}
    notes = [note_line(f"not given by the target: {', '.join(missing)}")] if missing else []

    def fit(width: int) -> RenderableType:
        rows = [
            _row(csr, previous.csr(csr.name) if previous else None, places, width)
            for csr in hart.csrs
        ]
        return listing(_COLUMNS, rows, width, least=_LEAST_WORDS)

    return Group(Fitted(fit), *notes)


def _row(csr: Csr, previous: Csr | None, places: Mapping[int, Place] | None, width: int) -> Row:
    changed = previous is not None and previous.value != csr.value
    words = guest(csr.text)
    if csr.name in _POINTERS and places and (place := places.get(_pointed(csr))):
        cells = [symbol(place, max(24, width - _NAME_WIDTH - 4)), source(place) or Text()]
        words = Text("  ").join(cell for cell in (words, *cells) if cell.plain)
    style = palette.CHANGED if changed else palette.VALUE if csr.value else palette.QUIET
    value = styled(hexadecimal(csr.value), style)
    return Row(
        (_named(csr.name, changed), value, words),
        tuple(_reserved(reason) for reason in csr.reserved),
    )


def _named(name: str, changed: bool) -> Text:
    # The mark stands where it does in the grid of registers: between name and value.
    return styled(name.ljust(_NAME_WIDTH), palette.LABEL).append(
        MARK if changed else " ", palette.CHANGED
    )


def _pointed(csr: Csr) -> int:
    # The two low bits of stvec are its mode.
    return csr.value & ~3 if csr.name == "stvec" else csr.value


def _reserved(reason: str) -> Text:
    return styled("  ! ", palette.PROBLEM) + guest(reason, palette.PROBLEM)


def words_line(csr: Csr, previous: Csr | None, width: int, label_width: int) -> Text:
    """One CSR as a labelled line of words, with what is reserved in it."""
    changed = previous is not None and previous.value != csr.value
    line = styled(csr.name.ljust(label_width), palette.LABEL)
    line.append(MARK if changed else " ", palette.CHANGED)
    cells = [guest(word, palette.CHANGED if changed else palette.VALUE) for word in
             csr.text.split(" ")]  # fmt: skip
    room = max(8, width - label_width - 1)
    line.append_text(
        Text("\n" + " " * (label_width + 1)).join(flow(cells, room, indent=0, gap=" ").split("\n"))
    )
    for reason in csr.reserved:
        line.append("\n")
        line.append_text(_reserved(reason))
    return line


_FIELD_COLUMNS = (Column("field"), Column("value", right=True), Column("means"), Column("about"))


def explain(csr: Csr, previous: Csr | None = None) -> RenderableType:
    """A CSR with all its fields and what they mean."""
    value = Text(f"{csr.value:#018x}")
    head = styled(csr.name, palette.HEADING) + Text(" =")
    head += marked(value, previous is not None and previous.value != csr.value)
    before = {field.name: field.value for field in previous.fields} if previous else {}
    rows = [_field_row(field, before.get(field.name)) for field in csr.fields]
    return Group(
        head,
        guest(_about(csr), palette.NOTE),
        *([guest(csr.text)] if csr.text else []),
        *(_reserved(reason) for reason in csr.reserved),
        *([Fitted(lambda width: listing(_FIELD_COLUMNS, rows, width))] if rows else []),
    )


def _about(csr: Csr) -> str:
    return f"{csr.about} (privileged spec {csr.section})" if csr.section else csr.about


def explained(found: ExplainedCsr) -> RenderableType:
    """A CSR that was asked for: explained, or why it has no value."""
    if found.csr is None:
        return explain_absent(found.name, found.note)
    return explain(found.csr)


def explain_absent(name: str, why: str) -> RenderableType:
    """What a CSR is for, where its value is not to be had."""
    spec = SPECS[name]
    rows = [
        Row((guest(item.name, palette.LABEL), Text(_bits(item)), guest(item.about)))
        for item in spec.fields
    ]
    columns = (Column("field"), Column("bits", right=True), Column("about"))
    return Group(
        styled(name, palette.HEADING),
        guest(f"{spec.about} (privileged spec {spec.section})", palette.NOTE),
        note_line(why),
        *([Fitted(lambda width: listing(columns, rows, width))] if rows else []),
    )


def _bits(item: FieldSpec) -> str:
    return str(item.low) if item.width == 1 else f"{item.low + item.width - 1}..{item.low}"


def _field_row(field: CsrField, previous: int | None) -> Row:
    set_style = palette.HEADING if field.value else palette.QUIET
    value = styled(hexadecimal(field.value), set_style)
    means = guest(_meaning(field), palette.PROBLEM if field.reserved else set_style)
    changed = previous is not None and previous != field.value
    return Row(
        (
            guest(field.name, palette.LABEL),
            marked(value, changed),
            means,
            guest(field.about, palette.QUIET),
        )
    )


def _meaning(field: CsrField) -> str:
    """The value in words, nothing where it would only be said again."""
    if field.text in ("0", "1"):
        return ("clear", "set")[field.value]
    return "" if field.text == f"{field.value:#x}" else field.text
