"""Statics, functions and damage, in DWARF made by hand as rustc or a C compiler do."""

import pytest

from rcdbg.errors import ImageError
from rcdbg.image.elf import load_image
from rcdbg.image.types import (
    BaseType,
    Member,
    StructType,
)
from tests.unit.image import build
from tests.unit.image.build import BASE, Die

from .conftest import Load, only

LAZY = (
    "_RNvNvNvXs3_NtCsf_2os7processNtB9_9PROCESSORNtNtNtCsc_4core3ops5deref5Deref5deref"
    "11___stability4LAZY"
)


def test_statics(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    image = load(
        u64,
        build.namespace("os", build.static("TICKS", u64, BASE + 0x2000, "_RNvC2os5TICKS")),
        build.namespace(
            "os",
            build.namespace(
                "{impl#3}", build.namespace("deref", build.static("LAZY", u64, BASE, LAZY))
            ),
        ),
        build.static("DISCARDED", u64, 0),
        Die(0x34, (0x03, build.STRP, "NO_ADDRESS"), (0x49, build.REF4, u64)),
        build.function("main", BASE, 8),
        root=[(0x10, build.SEC_OFFSET, 0), (0x1B, build.STRP, "/build")],
        line=build.line_program(b""),
    )
    ticks, lazy = image.types.statics()
    assert (ticks.path, ticks.linkage_name) == ("os::TICKS", "_RNvC2os5TICKS")
    assert (ticks.address, ticks.type) == (BASE + 0x2000, u64.offset)
    assert (ticks.file, ticks.line) == ("/build/src/main.rs", 7)
    assert lazy.path == (
        "<os::process::PROCESSOR as core::ops::deref::Deref>::deref::__stability::LAZY"
    )


def test_locals_are_no_statics_but_statics_in_functions_are(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    body = build.function("main", BASE, 8)
    body.children = [
        Die(0x34, (0x03, build.STRP, "local"), (0x02, build.EXPRLOC, b"\x91\x10")),
        Die(0x0B, children=[build.static("COUNT", u64, BASE + 0x2000)]),
    ]
    assert [s.path for s in load(u64, build.namespace("os", body)).types.statics()] == [
        "os::main::COUNT"
    ]


def test_a_static_whose_declaration_stands_elsewhere(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    declaration = Die(0x34, (0x03, build.STRP, "TICKS"), (0x49, build.REF4, u64))
    place = b"\x03" + BASE.to_bytes(8, "little")
    definition = Die(0x34, (0x47, build.REF4, declaration), (0x02, build.EXPRLOC, place))
    (found,) = load(u64, definition, build.namespace("os", declaration)).types.statics()
    assert (found.path, found.type, found.line) == ("os::TICKS", u64.offset, None)


@pytest.mark.parametrize(
    ("expression", "address"),
    [
        (b"\x03" + BASE.to_bytes(8, "little") + b"\x23\x90\x01", BASE + 0x90),
        (b"\x03" + bytes(8) + b"\x23\x10", None),  # discarded
        (b"\x03" + BASE.to_bytes(8, "little") + b"\x93\x04", None),  # one piece of several
        (b"\x03" + BASE.to_bytes(8, "little")[:7], None),
        (b"\x91\x10", None),
        (b"", None),
    ],
)
def test_places_of_statics(load: Load, expression: bytes, address: int | None) -> None:
    merged = Die(0x34, (0x03, build.STRP, "X"), (0x02, build.EXPRLOC, expression))
    found = [static.address for static in load(merged).types.statics()]
    assert found == ([address] if address is not None else [])


def test_vtables_name_the_type_behind_a_trait_object(load: Load) -> None:
    concrete = build.struct_type("Fifo", 8)
    vtable = build.struct_type("<Fifo as Scheduler>::{vtable_type}", 24)
    vtable.attributes.append((0x1D, build.REF4, concrete))
    image = load(concrete, vtable, build.static("<Fifo as Scheduler>::{vtable}", vtable, BASE))
    assert image.types.vtable_type(BASE) == concrete.offset
    assert image.types.vtable_type(BASE + 8) is None
    assert list(image.types.statics()) == []


def test_inlined_calls(load: Load) -> None:
    """Nested ones, one in two pieces, one that the linker discarded, and a lexical block."""

    def call(origin: Die, line: int, *place: tuple[int, int, build.Value], inside: Die) -> Die:
        what = (0x31, build.REF4, origin), (0x59, build.DATA1, line)
        return Die(0x1D, *what, *place, children=[inside])

    leaf = Die(0x2E, (0x03, build.STRP, "leaf"), (0x20, build.DATA1, 1))
    middle = Die(0x2E, (0x03, build.STRP, "middle"), (0x20, build.DATA1, 1))
    pieces = words(BASE + 8, BASE + 12, BASE + 20, BASE + 24, 0, 0)
    nothing = Die(0x0B)
    discarded = call(leaf, 4, (0x11, build.ADDR, 0), (0x12, build.DATA4, 4), inside=nothing)
    inner = call(leaf, 7, (0x55, build.SEC_OFFSET, 0), inside=discarded)
    block = Die(0x0B, children=[inner])
    outer = call(middle, 9, (0x11, build.ADDR, BASE + 4), (0x12, build.DATA4, 28), inside=block)
    function = build.function("caller", BASE, 64)
    function.children = [outer]
    image = load(build.namespace("os", leaf, middle, function), extra={"ranges": pieces})
    found = {
        offset: [(c.path, c.file, c.line) for c in image.functions.inlined_at(BASE + offset)]
        for offset in (0, 4, 8, 11, 12, 20, 24, 31, 32)
    }
    one, two = ("os::leaf", None, 7), ("os::middle", None, 9)
    assert found == {
        0: [], 4: [two], 8: [one, two], 11: [one, two], 12: [two], 20: [one, two], 24: [two],
        31: [two], 32: [],
    }  # fmt: skip
    assert (image.functions.inlined("os::leaf"), image.functions.inlined("os::middle")) == (2, 1)
    assert image.functions.inlined_at(0) == image.functions.inlined_at((1 << 64) - 1) == []


def test_functions(load: Load) -> None:
    high_pc_is_an_address = Die(
        0x2E,
        (0x03, build.STRP, "old"),
        (0x11, build.ADDR, BASE + 16),
        (0x12, build.ADDR, BASE + 24),
    )
    method = Die(0x2E, (0x03, build.STRP, "new"), (0x6E, build.STRP, "link"), (0x3C, 0x19, 1))
    definition = Die(0x2E, (0x47, build.REF4, method), (0x11, build.ADDR, BASE + 32), (0x12, 6, 8))
    inlined = Die(0x2E, (0x03, build.STRP, "inlined"), (0x20, build.DATA1, 1))
    copy = Die(0x2E, (0x31, build.REF4, inlined), (0x11, build.ADDR, BASE + 40), (0x12, 6, 4))
    linkage_name = "_RNvXNtC2os7processNtB2_3CPUNtC4core5Deref5deref"
    in_impl = build.function("deref", BASE + 48, 4, (0x6E, build.STRP, linkage_name))
    image = load(
        build.namespace("os", high_pc_is_an_address, inlined, build.struct_type("T", 0, method)),
        definition,
        copy,
        build.namespace("{impl#1}", in_impl),
        build.function("discarded", 0, 8),
    )
    found = {f.path: (f.address, f.size) for f in image.functions}
    assert found == {
        "os::old": (BASE + 16, 8),
        "os::T::new": (BASE + 32, 8),
        "os::inlined": (BASE + 40, 4),
        "<os::process::CPU as core::Deref>::deref": (BASE + 48, 4),
    }
    new = image.functions.at(BASE + 39)
    assert new is not None
    assert (new.path, new.linkage_name) == ("os::T::new", "link")
    assert image.functions.at(BASE + 44) is None
    assert image.functions.at(BASE) is None
    assert len(image.functions) == 4


def words(*values: int) -> bytes:
    """Little-endian words of 8 bytes."""
    return b"".join((value & (1 << 64) - 1).to_bytes(8, "little") for value in values)


@pytest.mark.parametrize(
    ("version", "sections"),
    [
        (4, {"ranges": words(-1, BASE, 32, 40, 0, 8, 0, 0)}),
        (4, {"ranges": words(BASE + 32, BASE + 40, BASE, BASE + 8, 5, 5, 0, 0)}),
        (5, {"rnglists": b"\x05" + words(BASE) + b"\x04\x20\x28\x04\x00\x08\x00"}),
        (5, {"rnglists": b"\6" + words(BASE + 32, BASE + 40) + b"\7" + words(BASE) + b"\x08\0"}),
        (
            5,
            {
                "rnglists": b"\x03\x01\x08\x02\x00\x02\x00",
                "addr": words(0, BASE, BASE + 32, BASE + 8),
            },
        ),
        (5, {"rnglists": b"\x01\x00\x04\x20\x28\x04\x00\x08\x00", "addr": words(0, BASE)}),
    ],
)
def test_a_function_in_pieces(load: Load, version: int, sections: dict[str, bytes]) -> None:
    split = Die(0x2E, (0x03, build.STRP, "split"), (0x55, build.SEC_OFFSET, 0))
    image = load(split, version=version, extra=sections)
    (found,) = image.functions
    assert found.ranges == ((BASE + 32, 8), (BASE, 8))
    assert (found.address, found.size) == (BASE + 32, 8)
    assert image.functions.at(BASE + 4) == found
    assert image.functions.at(BASE + 8) is None


def test_strings_and_addresses_by_index(load: Load) -> None:
    """DWARF 5 with .debug_str_offsets and .debug_addr, whose bases the root names last."""
    strings = b"TICKS\0u64\0"
    u64 = Die(0x24, (0x03, build.STRX1, 1), (0x0B, build.DATA1, 8), (0x3E, build.DATA1, 7))
    static = Die(
        0x34,
        (0x03, build.STRX1, 0),
        (0x49, build.REF4, u64),
        (0x02, build.EXPRLOC, b"\xa1\x01"),
    )
    image = load(
        static,
        u64,
        version=5,
        root=[
            (0x03, build.STRX1, 0),
            (0x72, build.SEC_OFFSET, 8),
            (0x73, build.SEC_OFFSET, 8),
        ],
        extra={
            "str": strings,
            # The builder's own strings come first: one NUL.
            "str_offsets": bytes(8) + (1).to_bytes(4, "little") + (7).to_bytes(4, "little"),
            "addr": bytes(8) + words(1, BASE),
        },
    )
    (found,) = image.types.statics()
    assert (found.path, found.address) == ("TICKS", BASE)
    assert only(image, "u64").size == 8


def test_constants_in_the_abbreviations(load: Load) -> None:
    u8 = Die(0x24, (0x03, build.STRP, "u8"), (0x0B, build.IMPLICIT, 1), (0x3E, build.IMPLICIT, 7))
    assert only(load(u8, version=5), "u8") == BaseType("u8", 1, "unsigned")


def test_attributes_of_the_wrong_class_are_passed_over(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    odd = Die(0x13, (0x03, build.DATA1, 5), (0x0B, build.STRP, "eight"), children=[
        Die(0x0D, (0x03, build.REF4, u64), (0x49, build.DATA4, 3), (0x38, build.STRP, "x")),
    ])  # fmt: skip
    image = load(u64, odd)
    assert only(image, "{unnamed}") == StructType("{unnamed}", 0, (Member("", 0, 0),))


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"info": b"\xff\0\0\0\4\0"}, "reaches past the end of .debug_info"),
        ({"info": b"\x08\0\0\0\x63\0\0\0\0\0\x08\0"}, "of DWARF version 99"),
        ({"info": b"\x08\0\0\0\4\0\0\0\0\0\x03\0"}, "addresses of 3 bytes"),
        ({"info": b"\x09\0\0\0\4\0\0\0\0\0\x08\x7e\0"}, "has no abbreviation"),
        ({"info": b"\x0b\0\0\0\4\0\xff\xff\0\0\x08\1\0\0\0"}, "index out of range"),
    ],
)
def test_damaged_debug_info_gets_one_line(load: Load, extra: dict[str, bytes], says: str) -> None:
    image = load(build.base("u8", 1, 7), extra=extra)
    if "info" in extra:
        path = image.path
        content = build.kernel()
        abbrev = b"\x01\x11\0\0\0\0"
        content.sections += [
            build.Section(".debug_info", extra["info"]),
            build.Section(".debug_abbrev", abbrev),
        ]
        path.write_bytes(content.bytes())
        image = load_image(path)
    assert image.has_debug_info
    with pytest.raises(ImageError) as caught:
        _ = image.types
    assert "has damaged debug info" in str(caught.value)
    assert says in str(caught.value)
    with pytest.raises(ImageError):
        _ = image.functions


def test_debug_info_of_type_units_and_other_files_is_passed_over(load: Load) -> None:
    skeleton = b"\x0c\0\0\0\5\0\4\x08\0\0\0\0\0\0\0\0"
    content = build.kernel()
    content.sections.append(build.Section(".debug_info", skeleton))
    content.sections.append(build.Section(".debug_abbrev", b"\0"))
    image = load()
    image.path.write_bytes(content.bytes())
    assert list(load_image(image.path).types.statics()) == []
