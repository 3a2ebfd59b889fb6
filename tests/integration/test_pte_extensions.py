"""N and PBMT of page table entries, on harts that have Svnapot and Svpbmt, and that have neither.

What is right, the hart says, and QEMU's gva2gpa. QEMU 7.2 with one of the two does not look at the
bits of the other, and takes PBMT 3: there the specification counts, and the hart is not asked.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.memory.page_table import read_page_table, translate
from rcdbg.riscv import access
from rcdbg.riscv.extensions import extensions
from rcdbg.riscv.paging import SV39, Satp
from rcdbg.riscv.pte import Extensions, N, U, V
from tests.integration.test_paging_schemes import KERNEL, LEAF, LOAD_PAGE, identity, leaf
from tests.support.paged_kernel import PagedKernel, Tree, build
from tests.support.qemu_account import parse_gva2gpa

BASE = 0x8040_0000
"""Where pages of 64 KiB and of 2 MiB may begin."""


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("paged"))


@pytest.fixture(params=[(True, True), (False, False)], ids=["both", "neither"])
def has(request: pytest.FixtureRequest) -> Extensions:
    return Extensions(*request.param)


@pytest.fixture
def paged(elf: Path, has: Extensions) -> Iterator[PagedKernel]:
    flags = [f"{n}={'on' if on else 'off'}" for n, on in (("svnapot", has.svnapot),
                                                         ("svpbmt", has.svpbmt))]  # fmt: skip
    kernel = PagedKernel(elf, ",".join(["rv64", *flags]))
    with closing(kernel.run):
        yield kernel


def odd_tree() -> tuple[Tree, list[int]]:
    """All that N and PBMT can be in, and addresses of it."""
    tree = identity(3)
    probes = [KERNEL]
    napot = leaf(BASE, LEAF) | 8 << 10 | N
    for slot in range(16):
        va = tree.put([10, 0, 16 + slot], napot)
        probes += [va, va + 0x123, va + 0xFFF]
    single = [
        leaf(BASE, LEAF) | 1 << 61, leaf(BASE, LEAF) | 2 << 61,
        leaf(BASE, LEAF) | N, leaf(BASE, LEAF) | 4 << 10 | N, leaf(BASE, LEAF) | 12 << 10 | N,
        napot | 1 << 61, leaf(BASE, V) | N, leaf(BASE, V) | 1 << 61,
    ]  # fmt: skip
    probes += [tree.put([10, 0, 40 + at], entry) for at, entry in enumerate(single)]
    large = [leaf(BASE, LEAF) | 1 << 61, leaf(BASE, LEAF) | N, leaf(BASE, LEAF) | 8 << 10 | N,
             leaf(BASE + 4096, LEAF) | 1 << 61, leaf(BASE, LEAF | U) | 1 << 61]  # fmt: skip
    probes += [tree.put([10, 40 + at], entry) + 0x5123 for at, entry in enumerate(large)]
    table = tree.new()
    tree.tables[table] = [leaf(BASE, LEAF)] * 512
    for at, bit in enumerate((0, N, 1 << 61)):
        probes.append(tree.put([10, 60 + at], table << 10 | V | bit) + 0x123)
    return tree, probes


def test_the_walk_goes_where_the_hart_goes(paged: PagedKernel, has: Extensions) -> None:
    tree, probes = odd_tree()
    paged.put(tree)
    found = paged.start(Satp.of(SV39, tree.root).value, probes)
    kernel = paged.run.kernel()
    assert extensions(kernel.target.read_phys) == has, "as the command line says"
    listed = read_page_table(kernel)
    worked = 0
    with Monitor(paged.run.qemu.qmp_socket) as monitor:
        for va, (_, cause) in zip(probes, found, strict=True):
            walk = translate(kernel, va).walk
            verdict = access.verdict(walk, "read", "S")
            assert verdict.allowed is (cause is None), (hex(va), walk.fault)
            assert cause in (None, LOAD_PAGE)
            worked += cause is None
            readable = access.verdict(walk, "read", "S", sum_=True).allowed
            said = parse_gva2gpa(monitor.hmp(f"gva2gpa {va:#x}"))
            assert said == (walk.physical if readable else None), hex(va)
            inside = [r.pa + va - r.va for r in listed.ranges if r.va <= va < r.va + r.size]
            assert inside == ([] if walk.physical is None else [walk.physical]), hex(va)
    assert (worked > 48) == bool(has.svnapot), "some of them are worth the trial"


def test_a_page_of_64_kib_is_one_range(paged: PagedKernel, has: Extensions) -> None:
    tree, _ = odd_tree()
    paged.put(tree)
    paged.start(Satp.of(SV39, tree.root).value, [])
    start = tree.va([10, 0, 16])
    ranges = [r for r in read_page_table(paged.run.kernel()).ranges if r.va == start]
    assert [(r.pa, r.size) for r in ranges] == ([(BASE, 16 * 4096)] if has.svnapot else [])
