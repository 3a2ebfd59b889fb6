"""Views of address spaces: what is told, at any width, with hostile text made harmless."""

import pytest
from rich.console import RenderableType

from rcdbg.model.memory.mappings import Mapped, Reverse
from rcdbg.model.memory.memory_set import MemorySet, MemorySets
from rcdbg.model.memory.segments import Difference, Segment
from rcdbg.model.memory.table_aliases import Alias, Aliases
from rcdbg.model.memory.table_diff import Change, TableDiff
from rcdbg.model.memory.table_lint import Lint, Oddity
from rcdbg.model.state import MappedRange, Place, Problem, Translation
from rcdbg.riscv import access, paging, pte
from rcdbg.riscv.csr import decode
from rcdbg.views.hart import csr
from rcdbg.views.memory import mappings, memory_set, walk
from rcdbg.views.render import render_text
from tests.unit.views.samples import HOSTILE

RANGE = MappedRange(0x5000_0000, 0x8030_0000, 1, 4096, "rwx--", 1, 0)
SEGMENT = Segment(
    0x1000,
    0x3000,
    "Framed",
    "rw--",
    "framed",
    (Difference("unmapped", 0x1000, 0x1000, "the page table maps nothing there"),),
)
PROBLEM = (Problem(HOSTILE, HOSTILE),)
SET = MemorySet(
    HOSTILE, 0x8040_0000, 7, True, (1, 2), 0x80268, False, (SEGMENT,), (RANGE,), 3,
    (Difference("stray-frame", 0x9000, 0x1000, HOSTILE),), True, "the lock is held", PROBLEM,
)  # fmt: skip
MAPPED = (Mapped(0x1000, "rw---", 4096), Mapped(0x4000_0000, "r----", 0x20_0000))

VIEWS: list[tuple[RenderableType, list[str]]] = [
    (
        memory_set.view(MemorySets((SET,), "", PROBLEM)),
        ["process7", "unmapped", "innosegment", "stray-frame"],
    ),
    (memory_set.view(MemorySets((), "not there yet")), ["notthereyet"]),
    (mappings.reverse(Reverse(0x8030_0000, MAPPED)), ["0x80300000", "0x40000000", "2Mpage"]),
    (
        mappings.aliases(Aliases((Alias(0x8030_0000, 4096, MAPPED, 9, True),), HOSTILE)),
        ["9times", "differentrights", "and7more"],
    ),
    (
        mappings.lint(Lint((Oddity("W+X", 0x1000, 4096, HOSTILE),), 3, "", "", ("a rule",))),
        ["W+X", "3pagetables", "notapplied:arule"],
    ),
    (
        mappings.diff(TableDiff("one", HOSTILE, (Change("added", RANGE.va, 4096, None, RANGE),))),
        ["added", "0x80300000", "1change"],
    ),
    (csr.explain_absent("satp", "not given"), ["notgiven", "59..44"]),
    (csr.explain(decode("satp", 1)), ["privilegedspec4.1.11", "mustbe0"]),
]


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize(("renderable", "words"), VIEWS)
def test_views(renderable: RenderableType, words: list[str], width: int) -> None:
    text = render_text(renderable, width)
    assert max(map(len, text.splitlines())) <= width
    assert not set(text) & set("\x1b\x07\r\u202e\x9b")
    squeezed = "".join(text.split())
    for word in words:
        assert word in squeezed


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_walk_tells_what_each_access_may_do(width: int) -> None:
    bits = pte.V | pte.R | pte.W | pte.U | pte.A | 2 << 8
    memory = {0x8026_8000: 0x8026_9 << 10 | 1, 0x8026_9000: 0x8026_A << 10 | 1}
    memory[0x8026_A008] = 0x8020_1 << 10 | bits
    done = paging.walk(
        lambda at, _: memory.get(at, 0).to_bytes(8, "little"),
        paging.Satp.of(paging.SV39, 0x80268),
        0x1000,
    )
    verdicts = access.verdicts(done, 0)
    found = Translation(
        done, "Sv39", 0x80268, Place(0x1000), None, "", verdicts, sum=False, mxr=False
    )
    squeezed = "".join(render_text(walk.view(found), width).split())
    for words in ("RSW=2", "SUM:Uisset,andSUMisoff", "✗pagefault", "?dependsonthehart", "SUMoff"):
        assert words in squeezed


@pytest.mark.parametrize("scheme", [paging.SV39, paging.SV48, paging.SV57], ids=lambda s: s.name)
def test_a_walk_names_every_level_of_the_scheme(scheme: paging.Scheme) -> None:
    """A page whose index is 1 on the root's level, 2 on the next, and so on."""
    way = range(1, scheme.levels + 1)
    va, memory = 0, {}
    for number, slot in enumerate(way):
        va = va << 9 | slot
        last = number == scheme.levels - 1
        entry = 0x80200 << 10 | pte.V | pte.R if last else (0x80301 + number) << 10 | pte.V
        memory[(0x80300 + number << 12) + 8 * slot] = entry
    satp = paging.Satp.of(scheme, 0x80300)
    va = va << 12 | 0xABC
    done = paging.walk(lambda at, _: memory.get(at, 0).to_bytes(8, "little"), satp, va)
    found = Translation(done, satp.name, satp.ppn, Place(va), None)
    squeezed = "".join(render_text(walk.view(found), 160).split())
    names = "".join(f"VPN[{scheme.levels - slot}]={slot}" for slot in way)
    assert f"{scheme.name},roottable0x80300000{names}offset=0xabc" in squeezed
    assert "physical0x80200abc" in squeezed
