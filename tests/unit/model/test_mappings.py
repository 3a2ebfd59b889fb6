"""Questions about whole tables, against dictionaries of single pages."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.guest.protocol import Ram, Registers, Target
from rcdbg.model.memory import mappings, table_aliases, table_diff, table_lint
from rcdbg.model.memory.mappings import Filter
from rcdbg.model.memory.page_table import MAX_RANGES, Root, merge, read_page_table, translate
from rcdbg.model.memory.table_lint import Oddity
from rcdbg.model.state import MappedRange, PageTable
from rcdbg.riscv import paging, pte, table_listing
from rcdbg.riscv.table_listing import Listing
from rcdbg.views.memory.page_table import view
from rcdbg.views.render import render_text
from tests.unit.model.tables import PAGE, ROOT, Tables

R, W, X, U, A, D = pte.R, pte.W, pte.X, pte.U, pte.A, pte.D
RIGHTS = (R, R | W, R | X, R | W | X, R | U)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Tables, dict[int, tuple[int, str]]]:
    """A random tree over a few pages and frames, and what it maps page by page."""
    tables = Tables()
    pages: dict[int, tuple[int, str]] = {}
    chosen = draw(
        st.dictionaries(
            st.integers(0, 24), st.tuples(st.integers(0, 12), st.sampled_from(RIGHTS)), max_size=20
        )
    )
    for number, (frame, rights) in chosen.items():
        va = paging.SV39.extended((number % 3) * (1 << 37) + number * PAGE)
        pa = 0x9000_0000 + frame * PAGE
        tables.map(va, pa, rights)
        pages[va] = (pa, pte.flags_text(rights)[:5])
    return tables, pages


def head_of(table: PageTable) -> str:
    return render_text(view(table), 120).splitlines()[0]


@pytest.mark.parametrize("by_physical", [False, True])
def test_a_listing_that_was_cut_says_so_at_its_head(by_physical: bool) -> None:
    # No page follows the one before in memory: as many ranges as pages.
    tables, pages = Tables(), MAX_RANGES + 1000
    for number in range(pages):
        tables.map(number * PAGE, 0x9000_0000 + (pages - number) * PAGE, R)
    table = mappings.filtered(tables.kernel(), Filter(by_physical=by_physical))
    assert (len(table.ranges), table.left_out, table.complete) == (
        MAX_RANGES,
        (1000, 1000 * PAGE),
        False,
    )
    first = table.ranges[0].pa if by_physical else table.ranges[0].va
    assert first == (0x9000_0000 + PAGE if by_physical else 0)
    assert f"the first {MAX_RANGES:,} of {pages:,} ranges, 19.9 MiB in all" in head_of(table)


def test_a_table_that_was_not_walked_to_its_end_says_so_at_its_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table_listing, "MAX_RUNS", 5)
    tables = Tables()
    for number in range(10):
        tables.map(number * PAGE, 0x9000_0000 + (10 - number) * PAGE, R)
    table = read_page_table(tables.kernel())
    head, found = head_of(table), len(table.ranges)
    assert 0 < found < 5
    assert f"at least {found} ranges, at least {4 * found} KiB in all" in head
    assert "not walked to its end" in head


def test_a_listing_that_is_whole_has_no_such_words() -> None:
    tables = Tables()
    tables.map(0, 0x9000_0000, R)
    assert head_of(read_page_table(tables.kernel())).endswith(", 1 range, 4 KiB")


def by_page(ranges: tuple[MappedRange, ...]) -> dict[int, tuple[int, str]]:
    return {
        r.va + at: (r.pa + at, r.rights) for r in ranges for at in range(0, r.size, r.page_size)
    }


@given(trees(), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 26), st.booleans())
def test_filters(
    case: tuple[Tables, dict[int, tuple[int, str]]],
    writable: bool,
    executable: bool,
    user: bool,
    border: int,
    by_physical: bool,
) -> None:
    tables, pages = case
    kernel = tables.kernel()
    assert by_page(read_page_table(kernel).ranges) == pages
    wanted = Filter(writable, executable, user, by_physical=by_physical)
    found = mappings.filtered(kernel, wanted)
    assert by_page(found.ranges) == {
        va: (pa, rights)
        for va, (pa, rights) in pages.items()
        if (not writable or "w" in rights)
        and (not executable or "x" in rights)
        and (not user or "u" in rights)
    }
    order = [r.pa if by_physical else r.va for r in found.ranges]
    assert order == sorted(order)
    below = mappings.filtered(kernel, Filter(end=border * PAGE)).ranges
    above = mappings.filtered(kernel, Filter(start=border * PAGE)).ranges
    assert all(r.va < border * PAGE for r in below)
    assert all(r.va + r.size > border * PAGE for r in above)
    assert by_page(below) | by_page(above) == pages


@given(trees())
def test_physical_to_virtual_and_aliases(case: tuple[Tables, dict[int, tuple[int, str]]]) -> None:
    tables, pages = case
    kernel = tables.kernel()
    wanted: dict[int, list[tuple[int, str]]] = {}
    for va, (pa, rights) in sorted(pages.items()):
        wanted.setdefault(pa, []).append((va, rights))
    for pa, virtual in wanted.items():
        found = mappings.virtuals(kernel, pa + 5)
        assert [(m.va - 5, m.rights) for m in found.mappings] == virtual
    listed = {}
    for alias in table_aliases.read_aliases(kernel).aliases:
        for at in range(0, alias.size, PAGE):
            every = {r for _, r in wanted[alias.pa + at]}
            assert alias.different_rights == (len(every) > 1)
            assert alias.count == len(wanted[alias.pa + at])
            shown = {m.va + at for m in alias.mappings}
            assert shown <= {va for va, _ in wanted[alias.pa + at]}
            assert len(shown) == min(alias.count, table_aliases.MAX_SHOWN)
            listed[alias.pa + at] = alias.count
    assert listed == {pa: len(v) for pa, v in wanted.items() if len(v) > 1}


@given(trees(), trees())
def test_diff(
    one: tuple[Tables, dict[int, tuple[int, str]]], other: tuple[Tables, dict[int, tuple[int, str]]]
) -> None:
    (first, before), (second, after) = one, other
    tables = [read_page_table(t.kernel()) for t in (first, second)]
    found = table_diff.diff(tables[0], tables[1], ("one", "other"))
    told: dict[int, str] = {}
    for change in found.changes:
        for va in range(change.va, change.va + change.size, PAGE):
            assert va not in told
            told[va] = change.kind
    wanted = {}
    for va in before.keys() | after.keys():
        if va not in before:
            wanted[va] = "added"
        elif va not in after:
            wanted[va] = "removed"
        elif before[va][0] != after[va][0]:
            wanted[va] = "moved"
        elif before[va][1] != after[va][1]:
            wanted[va] = "rights"
    assert told == wanted
    assert table_diff.diff(tables[0], tables[0], ("one", "one")).changes == ()


def test_a_superpage_in_place_of_its_pages_is_a_change_of_page_size() -> None:
    small, large = Tables(), Tables()
    for page in range(512):
        small.map(0x4000_0000 + page * PAGE, 0x8020_0000 + page * PAGE, R)
    large.map(0x4000_0000, 0x8020_0000, R, level=1)
    ranges = [read_page_table(t.kernel()).ranges for t in (small, large)]
    (change,) = table_diff.changes(ranges[0], ranges[1])
    assert (change.kind, change.va, change.size) == ("page size", 0x4000_0000, 1 << 21)


class Counting:
    """A target that counts what is read."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.reads = 0

    @property
    def ram(self) -> Ram | None:
        return self._target.ram

    def read_phys(self, address: int, size: int) -> bytes:
        self.reads += 1
        return self._target.read_phys(address, size)

    def registers(self) -> Registers:
        return self._target.registers()


def rules(tables: Tables) -> dict[str, list[Oddity]]:
    found: dict[str, list[Oddity]] = {}
    for finding in table_lint.lint(tables.kernel()).findings:
        found.setdefault(finding.rule, []).append(finding)
    return found


def test_lint_finds_nothing_in_a_healthy_table() -> None:
    tables = Tables()
    tables.map(0x1000, 0x9000_0000, R | W)
    tables.map(0x4000_0000, 0x9020_0000, R | X, level=1)
    lint = table_lint.lint(tables.kernel())
    assert lint.findings == ()
    assert lint.tables == 4
    assert any("table-in-free-frame" in skipped for skipped in lint.skipped)


def test_lint_names_each_rule() -> None:
    tables = Tables()
    tables.map(0x1000, 0x9000_0000, R | W | X)
    tables.map(0x2000, 0x9000_1000, R | W | X)
    tables.map(0x3000, 0x9000_2000, W)
    tables.map(0x4000_0000, 0x9000_1000, R, level=1)
    tables.set(ROOT, 7, ROOT << 10 | pte.V)
    tables.set(ROOT, 8, 0x70000 << 10 | pte.V)
    tables.set(ROOT, 9, tables.get(ROOT, 0))
    found = rules(tables)
    (both,) = found["W+X"][:1]
    assert (both.va, both.size) == (0x1000, 0x2000)
    assert "W without R" in found["reserved"][0].why
    assert found["misaligned"][0].va == 0x4000_0000
    assert found["self-map"][0].va == 7 << 30
    assert found["table-outside-ram"][0].va == 8 << 30
    assert "0x70000000" in found["table-outside-ram"][0].why
    assert found["shared-table"][0].va == 9 << 30


def test_a_table_full_of_nonsense_is_bounded() -> None:
    tables = Tables()
    for slot in range(512):
        tables.set(ROOT, slot, 0x7_0000 + slot << 10 | pte.V)
    lint = table_lint.lint(tables.kernel())
    assert len(lint.findings) == table_lint.MAX_FINDINGS + 1
    assert "448 more" in lint.findings[-1].why


@pytest.mark.parametrize("entry", [W, R | W, R | W | X, 0], ids=["reserved", "rw", "rwx", "table"])
def test_tables_that_share_their_tables_are_cut_off_and_said_to_be(entry: int) -> None:
    """Each entry of a table leads to the same next one: 2**27 pages, if all were listed."""
    tables = Tables()
    middle, bottom = tables.new_table(), tables.new_table()
    for slot in range(512):
        tables.set(tables.root, slot, middle << 10 | pte.V)
        tables.set(middle, slot, bottom << 10 | pte.V)
        tables.set(bottom, slot, 0x9_0000 + 2 * slot << 10 | entry | pte.V)
    kernel = tables.kernel()
    count = Counting(kernel.target)
    kernel = replace(kernel, target=count)
    listed = read_page_table(kernel, limit=mappings.ALL_RANGES)
    assert not listed.complete
    assert any("left out" in p.why for p in table_aliases.read_aliases(kernel).problems)
    other = table_diff.diff_roots(kernel, Root.of_frame(bottom, kernel.memory.satp), None)
    assert any("left out" in p.why for p in other.problems)
    assert table_diff.diff_roots(kernel, None, None).changes == ()
    lint = table_lint.lint(kernel)
    assert "limit" in {f.rule for f in lint.findings}
    assert len(lint.findings) <= 8 * (table_lint.MAX_FINDINGS + 1)
    # A table is read as often as it is listed, not as often as it is used, nor for each question.
    assert count.reads <= 10 * table_listing.MAX_SHARED


def test_other_roots() -> None:
    tables = Tables()
    tables.map(0x1000, 0x9000_0000, R)
    other = tables.new_table()
    tables.map(0x5000, 0x9000_4000, R | W, root=other)
    kernel = tables.kernel()
    for root in (Root.of_frame(other, kernel.memory.satp), Root.of_satp(8 << 60 | other)):
        (found,) = read_page_table(kernel, root).ranges
        assert (found.va, found.rights) == (0x5000, "rw---")
        assert translate(kernel, 0x5008, root).walk.physical == 0x9000_4008
    assert translate(kernel, 0x5008).walk.physical is None
    bare = read_page_table(kernel, Root.of_satp(0))
    assert "paging is off" in bare.note
    diff = table_diff.diff_roots(kernel, None, Root.of_frame(other, kernel.memory.satp))
    assert [c.kind for c in diff.changes] == ["removed", "added"]
    assert table_diff.diff_roots(kernel, Root.of_satp(5 << 60), None).notes


def test_each_table_is_read_once_whatever_is_mapped() -> None:
    """The cost of a listing: a page read for each table, not for each page that is mapped."""
    tables = Tables()
    for page in range(3 * 512):
        tables.map(0x4000_0000 + page * PAGE, 0x9000_0000 + (page * 7919 % 4096) * PAGE, R)
    reads: list[int] = []

    def read(address: int, size: int) -> bytes:
        reads.append(address)
        return bytes(tables.pages[address][:size])

    found = list(merge(Listing(read, paging.Satp.of(paging.SV39, ROOT))))
    assert len(found) == 3 * 512
    assert len(reads) == len(set(reads)) == 1 + 1 + 3


def test_frame_numbers_at_their_end_do_not_run_into_the_reserved_bits() -> None:
    tables = Tables()
    tables.map(0x1000, 0, R)
    table = tables.next_frame - 1
    last = (1 << 44) - 1 << 10 | R | pte.V
    tables.set(table, 2, last)
    tables.set(table, 3, last + (1 << 10))
    found = read_page_table(tables.kernel())
    assert [r.va for r in found.ranges] == [0x1000, 0x2000]
    assert "60..54" in found.problems[0].why
