"""Families: each description is whole, and an ELF is recognised by what it has and says why."""

from types import SimpleNamespace
from typing import cast

import pytest

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.elf import Image
from rcdbg.kernels import recognise
from rcdbg.kernels.description import UNKNOWN, Description
from rcdbg.kernels.reading import description_of, overlay_of
from rcdbg.kernels.recognise import demand_symbol, describe, families, family, first_symbol
from tests.unit.model.kernels import WorldOfStatics

RING = description_of(
    b"""
family = "ring"
title = "a made-up kernel"
[evidence]
keys = ["trap.entry", "thread.list", "thread.id", "frames.type"]
enough = 2
[trap]
entry = ["enter_trap", "trap_in"]
[thread]
type = "Job"
list = "JOBS[*]"
id = "core.number"
[frames]
type = "Pool"
""",
    "ring.toml",
)


def image(world: WorldOfStatics, **symbols: int) -> Image:
    def address_of(name: str) -> int | None:
        if name == "twice":
            raise UsageError("twice may be 1 or 2")
        return symbols.get(name)

    found = SimpleNamespace(address_of=address_of, suggest=lambda name: ["handle_trap"])
    path = SimpleNamespace(name="os")
    return cast(Image, SimpleNamespace(types=world, symbols=found, has_debug_info=True, path=path))


@pytest.fixture
def two_families(monkeypatch: pytest.MonkeyPatch) -> tuple[Description, ...]:
    both = (family("lab"), RING)
    monkeypatch.setattr(recognise, "families", lambda: both)
    return both


def job(world: WorldOfStatics, field: str = "core") -> None:
    core = world.struct("a::Core", [("number", world.u64)])
    world.struct("a::Job", [(field, core)])


def test_every_description_has_a_name_of_its_own_and_signs_that_it_describes() -> None:
    found = families()
    assert len({d.family for d in found}) == len(found)
    for description in found:
        assert 0 < description.evidence.enough <= len(description.evidence.keys)
        for sign in description.evidence.keys:
            concept, _, key = sign.partition(".")
            assert getattr(getattr(description, concept), key), f"{description.family}: {sign}"


def test_what_fits_and_why(two_families: tuple[Description, ...]) -> None:
    world = WorldOfStatics()
    job(world)
    world.static("<a::JOBS as core::ops::deref::Deref>::deref::LAZY", world.new(world.u64))
    found = recognise.recognise(image(world, trap_in=0x1000))
    assert found.description == two_families[1]
    assert found.why == "2 of 4 signs" or found.why == "3 of 4 signs"
    best, other = found.fits
    assert (best.family, other.family) == ("ring", "lab")
    assert "symbol enter_trap" in best.found
    assert "field core.number of Job" in best.found
    assert best.missing[-1] == "type Pool"
    assert other.found == ()


def test_too_few_signs_are_no_family(two_families: tuple[Description, ...]) -> None:
    world = WorldOfStatics()
    job(world, "other")
    found = recognise.recognise(image(world, enter_trap=1))
    assert found.description == UNKNOWN
    assert not any(fit.fits for fit in found.fits)
    assert found.why == "no family's signs are there"


def test_names_that_the_user_tells_are_signs_too(two_families: tuple[Description, ...]) -> None:
    world = WorldOfStatics()
    job(world, "other")
    overlay = overlay_of(b'[thread]\nid = "other.number"', "x.toml")
    found = describe(image(world, enter_trap=1), overlay)
    assert found.family == "ring"
    assert found.trap == RING.trap
    assert [str(path) for path in found.thread.id] == ["other.number"]


def test_flat_names_of_a_kernel_that_nothing_else_tells_of() -> None:
    found = recognise.recognise(image(WorldOfStatics()), overlay_of(b'heap = "Pool"', "x"))
    assert (found.description.family, found.description.heap.type[0]) == ("lab", "Pool")
    assert found.description.thread == family("lab").thread
    assert found.why == "the profile has names of that family"


def test_a_family_that_the_user_names() -> None:
    found = describe(image(WorldOfStatics()), overlay_of(b'family = "lab"', "x"))
    assert found == family("lab")
    with pytest.raises(UsageError, match="is called 'lob'; known are arceos, lab"):
        describe(image(WorldOfStatics()), overlay_of(b'family = "lob"', "x"))


def test_damaged_debug_info_leaves_the_symbols() -> None:
    class Damaged:
        path, has_debug_info = SimpleNamespace(name="os"), True
        symbols = image(WorldOfStatics(), __interrupt=1, handle_interrupt=2).symbols

        @property
        def types(self) -> object:
            raise ImageError("os: damaged DWARF")

    found = recognise.recognise(cast(Image, Damaged()))
    assert found.description == family("lab")
    assert len(found.fits[0].missing) == 5


def test_the_first_symbol_that_there_is() -> None:
    elf = image(WorldOfStatics(), trap_in=7)
    assert first_symbol(elf, RING.trap.entry) == ("trap_in", 7)
    assert first_symbol(elf, family("lab").trap.entry) is None
    assert demand_symbol(elf, RING.trap.entry, "the trap's entry") == ("trap_in", 7)
    with pytest.raises(UsageError, match="'__interrupt', the trap's entry; did you mean handle_tr"):
        demand_symbol(elf, family("lab").trap.entry, "the trap's entry")
    with pytest.raises(UsageError, match="does not know what the trap's entry is called in os"):
        demand_symbol(elf, UNKNOWN.trap.entry, "the trap's entry")


def test_a_symbol_that_means_several_is_none() -> None:
    world = WorldOfStatics()
    text = b'[trap]\nentry = ["twice", "once"]'
    entry = overlay_of(text, "x").over(UNKNOWN).trap.entry
    assert first_symbol(image(world, once=3), entry) == ("once", 3)
