"""Sv39, Sv48, Sv57 against the hart, `info mem` and `gva2gpa`, on a kernel that switches to each.

tests/paging/switch.S is the kernel; the tables are written into its memory by the tests.
"""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rcdbg.errors import MemoryReadError
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory import mappings, table_aliases, table_diff, table_lint
from rcdbg.model.memory.page_table import Root, read_page_table, translate
from rcdbg.riscv import access, paging
from rcdbg.riscv.paging import SV39, SV48, SV57, Satp, Scheme
from rcdbg.riscv.pte import A, D, G, R, U, V, W, X, flags_text
from rcdbg.riscv.table_listing import Listing
from tests.integration.test_address_spaces import check_against_qemu
from tests.support.paged_kernel import RAM_END, PagedKernel, Tree, build
from tests.support.qemu_account import MappedRun, merge_runs, parse_gva2gpa, parse_info_mem

ROUNDS = 12
LOAD_ACCESS, LOAD_PAGE = 5, 13
KERNEL = 0x8020_0000
LEAF = V | R | A | D
SELF = 300
"""The root's slot for the root itself: in the upper half."""


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("paged"))


@pytest.fixture(params=[SV39, SV48, SV57], ids=lambda scheme: scheme.name)
def scheme(request: pytest.FixtureRequest) -> Scheme:
    found: Scheme = request.param
    return found


@pytest.fixture
def paged(elf: Path) -> Iterator[PagedKernel]:
    kernel = PagedKernel(elf)
    with closing(kernel.run):
        yield kernel


@pytest.fixture
def monitor(paged: PagedKernel) -> Iterator[Monitor]:
    with Monitor(paged.run.qemu.qmp_socket) as monitor:
        yield monitor


def identity(levels: int) -> Tree:
    """The first 4 GiB where they are, in pages of 1 GiB: devices, firmware, kernel."""
    tree = Tree(levels)
    for gigabyte in range(4):
        tree.put((*[0] * (levels - 3), gigabyte), gigabyte << 28 | LEAF | W | X)
    return tree


def leaf(pa: int, flags: int) -> int:
    return pa >> 12 << 10 | flags


def every_kind(levels: int) -> tuple[Tree, list[int]]:
    """A table with leaves of all sizes, all that can be wrong, and itself; and addresses to try."""
    tree = identity(levels)
    probes = [KERNEL, 0, 0x1000_0000]
    for half, level in ((half, level) for half in (10, 511) for level in range(levels)):
        # In the upper half down to the last page of all; there the hart has to set A.
        way = [half] * (levels - level - 1) + [half - level]
        pa = KERNEL & -(4096 << 9 * level)
        va = tree.put(way, leaf(pa, LEAF if half < 256 else V | R | W))
        probes += [va + KERNEL - pa, va + 5]
        if (half, level) != (511, 0):
            probes.append(va + (4096 << 9 * level) & (1 << 64) - 1)
    tree.tables[tree.root][SELF] = tree.root << 10 | V
    for extra in range(1, levels):
        # The table itself as the table of each level: the identity's leaves are smaller then.
        probes.append(tree.va([SELF] * extra + [0] * (levels - extra)))
        probes.append(tree.va([SELF] * extra + [0] * (levels - 3 - extra) + [2], 0x123))
    for place, entry in enumerate(
        (
            leaf(KERNEL, V | W | A | D),
            leaf(KERNEL, V | X | A | D),
            leaf(KERNEL, V | U | R | A | D),
            leaf(KERNEL, LEAF) | 1 << 54,
            leaf(KERNEL, LEAF) | 1 << 63,
            leaf(KERNEL, V),
            leaf(KERNEL, LEAF & ~V),
        )
    ):
        probes.append(tree.put([12] * (levels - 1) + [place], entry))
    for level in range(1, levels):
        way = [12] * (levels - level - 1)
        probes.append(tree.put([*way, 20 + level], leaf(KERNEL + 4096, LEAF)))
        probes.append(tree.put([*way, 30 + level], leaf(KERNEL, V | A)))
        probes.append(tree.put([*way, 40 + level], leaf(1 << 55, V)))
    probes += [1 << bit for bit in range(38, 64)]
    probes += [(1 << 64) - (1 << bit) for bit in range(38, 60)]
    return tree, probes


def debuggers(walk: paging.Walk) -> int | None:
    """Where QEMU goes for a debugger: the page has to be readable, and U does not matter."""
    allowed = access.verdict(walk, "read", "S", sum_=True).allowed
    return None if allowed is False else walk.physical


def test_the_hart_and_qemu_go_where_the_walk_says(
    paged: PagedKernel, monitor: Monitor, scheme: Scheme
) -> None:
    tree, probes = every_kind(scheme.levels)
    paged.put(tree)
    satp = Satp.of(scheme, tree.root)
    found = paged.start(satp.value, probes)
    kernel = paged.run.kernel()
    assert kernel.memory.satp == satp, "the hart has that scheme"
    seen = set()
    for va, (byte, cause) in zip(probes, found, strict=True):
        walk = translate(kernel, va).walk
        verdict = access.verdict(walk, "read", "S")
        assert parse_gva2gpa(monitor.hmp(f"gva2gpa {va:#x}")) == debuggers(walk), hex(va)
        seen.add((walk.rule, len(walk.steps)))
        if verdict.allowed is False:
            # A table outside of RAM is an access fault to the specification, not to this QEMU.
            known = (LOAD_ACCESS, LOAD_PAGE) if walk.rule == "unreadable" else (LOAD_PAGE,)
            assert cause in known, hex(va)
            continue
        assert walk.physical is not None
        if KERNEL <= walk.physical < RAM_END:  # below is the firmware, which keeps S-mode out
            assert cause is None, hex(va)
            if walk.physical < KERNEL + 4096:  # what does not change meanwhile
                assert byte == paged.run.target.read_phys(walk.physical, 1)[0], hex(va)
    levels = scheme.levels
    assert {("", steps) for steps in range(1, levels + 1)} <= seen, "leaves of all levels"
    assert {("misaligned", steps) for steps in range(1, levels)} <= seen
    assert {rule for rule, _ in seen} == {
        "", "V", "reserved", "level", "misaligned", "canonical", "unreadable",
    }  # fmt: skip


def test_what_the_listing_says_of_a_table_in_which_all_is_wrong(
    paged: PagedKernel, scheme: Scheme
) -> None:
    tree, probes = every_kind(scheme.levels)
    paged.put(tree)
    paged.start(Satp.of(scheme, tree.root).value, [])
    kernel = paged.run.kernel()
    listed = Listing(kernel.target.read_phys, kernel.memory.satp).finish()
    (own,) = [bad for bad in listed.bad if bad.kind == "self-map"]
    size = 4096 << 9 * (scheme.levels - 1)
    assert own.va == tree.va([SELF] + [0] * (scheme.levels - 1))
    for va in probes:
        walk = translate(kernel, va).walk
        runs = [run for run in listed if run.va <= va < run.va + run.size]
        if own.va <= va < own.va + size:
            assert not runs
        else:
            assert [run.pa + va - run.va for run in runs] == (
                [] if walk.physical is None else [walk.physical]
            ), hex(va)
    rules = {finding.rule for finding in table_lint.lint(kernel).findings}
    assert {"misaligned", "reserved", "self-map", "level", "table-outside-ram"} <= rules


def random_tree(levels: int, choose: random.Random) -> Tree:
    """The identity, and leaves of all sizes at random places and as neighbours; all well-formed."""
    tree = identity(levels)
    for _ in range(choose.randrange(5, 60)):
        level = choose.randrange(levels)
        way = [choose.choice((1, 2, 255, 256, 510, 511)) for _ in range(levels - level)]
        step = 1 << 9 * level
        frame = choose.randrange(1 << 44 - 9 * level) * step
        flags = V | choose.choice((R, X, R | W, R | X, R | W | X)) | choose.randrange(16) << 4
        for neighbour in range(choose.choice((1, 1, 2, 5))):
            slot = way[-1] + neighbour
            if slot > 511 or not free(tree, [*way[:-1], slot]):
                break
            tree.put([*way[:-1], slot], frame + neighbour * step << 10 & ~(0x3FF << 54) | flags)
    return tree


def free(tree: Tree, way: list[int]) -> bool:
    """Whether an entry there would take the place of nothing, and no leaf is in its way."""
    table = tree.root
    for slot in way[:-1]:
        entry = tree.tables[table][slot]
        if not entry:
            return True
        if entry & (R | W | X):
            return False
        table = entry >> 10
    return not tree.tables[table][way[-1]]


def test_random_tables_are_listed_and_walked_as_by_qemu(
    paged: PagedKernel, monitor: Monitor, scheme: Scheme
) -> None:
    tree = identity(scheme.levels)
    paged.put(tree)
    paged.start(Satp.of(scheme, tree.root).value, [])
    before = read_page_table(paged.run.kernel()), parse_info_mem(monitor.hmp("info mem"))
    for seed in range(ROUNDS):
        choose = random.Random(seed)
        tree = random_tree(scheme.levels, choose)
        paged.put(tree)
        kernel = paged.run.kernel()
        listed = Listing(kernel.target.read_phys, kernel.memory.satp)
        ours = merge_runs(MappedRun(r.va, r.pa, r.size, flags_text(r.bits)) for r in listed)
        theirs = parse_info_mem(monitor.hmp("info mem"))
        assert by_page(ours) == by_page(theirs), seed
        assert listed.bad == []
        check_addresses(kernel, monitor, theirs, choose)
        check_questions(kernel, theirs, choose)
        table = read_page_table(kernel)
        changes = table_diff.diff(before[0], table, ("before", "after")).changes
        assert changes
        check_against_qemu([(c.kind, c.va, c.size) for c in changes], before[1], theirs)
        before = table, theirs


def by_page(found: list[MappedRun]) -> list[MappedRun]:
    """QEMU ends a run at the border of a table, and so do we: those that continue are joined."""
    joined: list[MappedRun] = []
    for run in found:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.attributes == run.attributes
            and last.va + last.size == run.va
            and last.pa + last.size == run.pa
        ):
            joined[-1] = MappedRun(last.va, last.pa, last.size + run.size, run.attributes)
        else:
            joined.append(run)
    return joined


def check_addresses(
    kernel: Kernel, monitor: Monitor, theirs: list[MappedRun], choose: random.Random
) -> None:
    """Borders of what is mapped, as far as S-mode may read there; and what lies beside them."""
    places = {va for run in theirs for va in (run.va - 1, run.va, run.va + run.size - 1)}
    places |= {run.va + run.size for run in theirs} | {choose.getrandbits(64) for _ in range(8)}
    every = sorted({place & (1 << 64) - 1 for place in places})
    for va in choose.sample(every, min(len(every), 40)):
        walk = paging.walk(kernel.target.read_phys, kernel.memory.satp, va)
        assert parse_gva2gpa(monitor.hmp(f"gva2gpa {va:#x}")) == debuggers(walk), hex(va)


def check_questions(kernel: Kernel, theirs: list[MappedRun], choose: random.Random) -> None:
    """What is asked of whole tables, against QEMU's listing."""
    table = read_page_table(kernel)
    assert table.mode == kernel.memory.satp.name
    assert sum(r.size for r in table.ranges) == sum(run.size for run in theirs)
    run = choose.choice(theirs)
    inside = run.pa + choose.randrange(run.size)
    reverse = mappings.virtuals(kernel, inside)
    assert [found.va for found in reverse.mappings] == [
        one.va + inside - one.pa for one in theirs if one.pa <= inside < one.pa + one.size
    ]
    for alias in table_aliases.read_aliases(kernel).aliases:
        assert alias.count == sum(
            one.pa <= alias.pa and alias.pa + alias.size <= one.pa + one.size for one in theirs
        )
    root = Root.of_frame(kernel.memory.satp.ppn, kernel.memory.satp)
    assert read_page_table(kernel, root).ranges == table.ranges


def test_memory_is_read_as_the_hart_reads_it(paged: PagedKernel, scheme: Scheme) -> None:
    """Virtual memory across the border of two pages whose frames are no neighbours."""
    tree = identity(scheme.levels)
    way = [511] * (scheme.levels - 1)
    first = tree.put([*way, 7], leaf(KERNEL, LEAF | G))
    tree.put([*way, 8], leaf(KERNEL + 0x5000, LEAF))
    paged.write(KERNEL + 0x5000, bytes(range(64)))
    paged.put(tree)
    paged.start(Satp.of(scheme, tree.root).value, [])
    stub, memory = paged.run.stub, paged.run.kernel().memory
    assert memory.read(first + 0xFC0, 128) == stub.read_memory(first + 0xFC0, 128)
    assert memory.read(first + 0xFC0, 128)[64:] == bytes(range(64))
    with pytest.raises(MemoryReadError):
        stub.read_memory(first + 0x2000, 8)
    assert memory.satp.translates
