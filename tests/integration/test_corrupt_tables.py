"""Questions about page tables and address spaces of a kernel whose memory is damaged at random."""

import random

import pytest

from rcdbg.model.kernel import Kernel
from rcdbg.riscv.table_listing import Listing
from rcdbg.subjects.table import subject
from rcdbg.views.render import render_text
from tests.support.frozen import Frozen, Seen
from tests.support.questions import ask, walk

pytestmark = pytest.mark.every_kernel

ROUNDS = 60
QUESTIONS = (
    "memoryset",
    "pagetable --aliases",
    "pagetable --lint",
    "pagetable --to-physical 0x80a64000",
    "pagetable --writable --by-physical",
    "pagetable --diff-satp 0x8000000000080200",
    "csr --explain scause",
)


def entries(frozen: Frozen) -> list[int]:
    """Physical addresses of the valid entries of the page table, those of leaves thinned out."""
    kernel = Kernel.now(frozen.image, frozen.target())
    found = []
    for table in Listing(kernel.target.read_phys, kernel.memory.satp).finish().tables:
        for slot in range(0, 512, 16 if table.level == 0 else 1):
            at = table.address + slot * 8
            if kernel.target.read_phys(at, 8) != bytes(8):
                found.append(at)
    return found


def test_random_damage_to_the_books_and_the_tables(frozen: Frozen) -> None:
    seen = Seen(frozen)
    before = subject("memoryset").answer(Kernel.now(frozen.image, seen)).document
    places = [*entries(frozen) * 4, *sorted(seen.addresses)]
    noticed = 0
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        for _ in range(chance.randint(1, 8)):
            at = chance.choice(places)
            old = frozen.word(at)
            new = chance.choice(
                [
                    chance.getrandbits(64),
                    old ^ 1 << chance.randrange(64),
                    chance.choice(places) >> 12 << 10 | chance.choice([1, 0xCF]),
                    (1 << 64) - 1,
                    chance.choice(places) + 0xFFFF_FFFF_0000_0000,
                ]
            )
            frozen.write(at, new.to_bytes(8, "little"))
        kernel = Kernel.now(frozen.image, frozen.target())
        for question in QUESTIONS:
            answer = ask(kernel, question)
            render_text(answer.view, width=chance.choice([40, 80, 160]))
            if question == "memoryset":
                noticed += answer.document != before
        render_text(walk(kernel, chance.getrandbits(64)).view)
        frozen.restore()
    assert noticed > ROUNDS // 2, "most of the damage shows"
