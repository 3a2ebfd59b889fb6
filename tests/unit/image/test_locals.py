"""Local variables at places in the stack frame, in DWARF made by hand as rustc writes it."""

import pytest

from rcdbg.errors import ImageError
from tests.unit.image import build
from tests.unit.image.build import BASE, Die

from .conftest import Load

LOW, HIGH, NAME, KIND, PLACE, FRAME = 0x11, 0x12, 0x03, 0x49, 0x02, 0x40
VARIABLE, BLOCK, FUNCTION = 0x34, 0x0B, 0x2E


def code(start: int, size: int) -> list[tuple[int, int, int]]:
    return [(LOW, build.ADDR, BASE + start), (HIGH, build.DATA4, size)]


def local(name: str, kind: Die, place: bytes) -> Die:
    return Die(
        VARIABLE, (NAME, build.STRP, name), (PLACE, build.EXPRLOC, place), (KIND, build.REF4, kind)
    )


def main(u64: Die, base: bytes) -> Die:
    """main of 0x40 bytes with `i` twice, one in a block of a block, and one in a register."""
    inner = Die(BLOCK, *code(0x10, 8), children=[local("i", u64, b"\x91\x08")])
    outer = Die(BLOCK, *code(8, 0x20), children=[inner, local("i", u64, b"\x91\xd0\x7d")])
    children = [outer, local("x", u64, b"\x50"), local("list", u64, b"\x91\x80\x02")]
    named = (NAME, build.STRP, "main")
    return Die(FUNCTION, named, (FRAME, build.EXPRLOC, base), *code(0, 0x40), children=children)


@pytest.mark.parametrize(
    ("base", "register", "offset"),
    [(b"\x52", 2, 0), (b"\x78\x70", 8, -16), (b"\x9c", None, 0)],
    ids=["sp", "s0 - 16", "the CFA"],
)
def test_places_and_scopes(load: Load, base: bytes, register: int | None, offset: int) -> None:
    u64 = build.base("u64", 8, 7)
    other = build.function("other", BASE + 0x40, 8)
    other.children = [local("i", u64, b"\x91\x00")]
    found = load(u64, build.namespace("os", main(u64, base), other)).locals_of("main")
    assert {(v.name, v.offset) for v in found} == {("i", 8), ("i", -304), ("list", 256)}
    assert {(v.base.register, v.base.offset) for v in found} == {(register, offset)}
    assert {v.type for v in found} == {u64.offset}

    def there(pc: int) -> list[int]:
        """The offsets of those that are there, the innermost first."""
        live = [v for v in found if v.is_there(BASE + pc)]
        return [v.offset for v in sorted(live, key=lambda v: v.extent)]

    assert there(0x12) == [8, -304, 256]
    assert there(0x20) == [-304, 256]
    assert there(0x30) == [256]
    assert there(0x40) == []


def test_a_frame_base_that_is_not_understood_has_no_places(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    assert load(u64, main(u64, b"\x52\x9f")).locals_of("main") == ()


def test_damage_is_an_error_of_the_image(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    image = load(u64, main(u64, b"\x91"))
    assert image.locals_of("main") == ()
    with pytest.raises(ImageError, match="debug info"):
        load(u64, main(u64, b"\x78\x80")).locals_of("main")
