"""A kernel with broken memory is still shown: problems in place, no exception, no hang."""

import random
from collections.abc import Callable

import pytest

from rcdbg.guest.protocol import Registers
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.model.serial import state as serial
from rcdbg.subjects.report import view_state
from rcdbg.views.render import render_text
from tests.support.frozen import Frozen, Seen

pytestmark = pytest.mark.every_kernel

ROUNDS = 150


def test_random_damage_where_the_decoders_look(frozen: Frozen) -> None:
    seen = Seen(frozen)
    before = read_state(Kernel.now(frozen.image, seen))
    assert before.processor.problems == before.frames.problems == ()
    words = sorted(seen.addresses)
    noticed = 0
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        damages: list[Callable[[], bytes]] = [
            lambda: chance.randbytes(8),  # noqa: B023
            lambda: b"\0" * 8,
            lambda: b"\xff" * 8,
            lambda: (0xFFFF_FFFF_0000_0000 + chance.choice(words)).to_bytes(8, "little"),  # noqa: B023
        ]
        for _ in range(chance.randint(1, 12)):
            frozen.write(chance.choice(words), chance.choice(damages)())
        state = frozen.state()
        render_text(view_state(state, before), width=chance.choice([40, 80, 160]))
        serial.state(state)
        noticed += state != before
        frozen.restore()
    assert noticed > ROUNDS // 2, "most of the damage shows"
    assert frozen.state() == before, "and nothing of it stays"


def test_random_registers(frozen: Frozen) -> None:
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        random_words = [
            chance.choice([0, chance.getrandbits(64), chance.choice(frozen.registers.x)])
            for _ in range(32)
        ]
        csrs = {name: chance.getrandbits(64) for name in frozen.registers.csrs}
        csrs["satp"] = chance.choice([0, 8 << 60 | chance.getrandbits(20), chance.getrandbits(64)])
        registers = Registers(
            random_words[0], (0, *random_words[1:32]), csrs, chance.choice([0, 1, 3, 2, None])
        )
        state = frozen.state(registers)
        render_text(view_state(state), width=100)
        serial.state(state)


def test_a_damaged_part_does_not_take_the_others_with_it(frozen: Frozen) -> None:
    before = frozen.state()
    assert before.processor.ready or before.processor.sleeping
    kernel = Kernel.now(frozen.image, frozen.target())
    holder = kernel.static_holding("Processor")
    for offset in range(0, holder.type.size, 8):
        physical = kernel.memory.physical(holder.address + offset)
        # The lock and the Once stay as they are, else it is "not initialised" and no problem.
        if int.from_bytes(frozen.memory[physical - frozen.base :][:8], "little") > 1 << 32:
            frozen.write(physical, (0xDEAD_BEEF_0000).to_bytes(8, "little"))
    after = frozen.state()
    assert after.processor.problems
    assert after.frames == before.frames
    assert after.page_table == before.page_table
    assert after.trap == before.trap
