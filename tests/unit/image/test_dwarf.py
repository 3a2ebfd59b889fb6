"""Types, statics and functions, from DWARF made by hand the way rustc or a C compiler do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rcdbg.errors import ImageError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.types import (
    ArrayType,
    BaseType,
    CEnumType,
    EnumType,
    Member,
    OpaqueType,
    PointerType,
    StructType,
    Type,
    UnionType,
)
from tests.unit.image import build
from tests.unit.image.build import BASE, Die, Dwarf

Load = Callable[..., Image]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Makes an image of DIEs."""

    def make(*dies: Die, version: int = 4, **more: object) -> Image:
        dwarf = Dwarf(list(dies), version, **more)  # type: ignore[arg-type]
        path = tmp_path / "os"
        path.write_bytes(build.kernel(dwarf=dwarf).bytes())
        return load_image(path)

    return make


def only(image: Image, name: str) -> Type:
    """The one type of that name."""
    (found,) = image.types.types_named(name)
    return image.types.type(found)


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_base_types_and_pointers(load: Load, version: int) -> None:
    u64 = build.base("u64", 8, 7)
    image = load(
        u64,
        build.base("i32", 4, 5),
        build.base("bool", 1, 2),
        build.base("char", 4, 0x10),
        build.base("f64", 8, 4),
        Die(0x0F, (0x03, build.STRING, "&mut u64"), (0x49, build.REF4, u64)),
        version=version,
    )
    assert only(image, "u64") == BaseType("u64", 8, "unsigned")
    assert only(image, "i32") == BaseType("i32", 4, "signed")
    assert only(image, "bool") == BaseType("bool", 1, "bool")
    assert only(image, "char") == BaseType("char", 4, "char")
    assert only(image, "f64") == BaseType("f64", 8, "float")
    assert only(image, "&mut u64") == PointerType("&mut u64", 8, u64.offset)
    assert image.has_debug_info


def test_a_struct_with_its_path_and_generic_arguments(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    pool = build.struct_type(
        "Pool<u64>",
        24,
        build.member("__0", u64, 16),
        build.member("next", u64, 0),
        build.parameter("T", u64),
    )
    image = load(u64, build.namespace("os", build.namespace("memory", pool)))
    found = only(image, "os::memory::Pool<u64>")
    assert isinstance(found, StructType)
    assert found.size == 24
    assert found.members == (Member("__0", u64.offset, 16), Member("next", u64.offset, 0))
    assert found.parameters == (("T", u64.offset),)
    assert found.member("next") == found.members[1]
    assert found.member("T") is None
    assert only(image, "Pool") is found
    assert image.types.types_named("Pool<u64>") == []
    assert image.types.types_named("memory::Pool") == []


def test_same_names_in_the_order_of_the_dwarf(load: Load) -> None:
    first, second = build.struct_type("Node<u8>", 1), build.struct_type("Node<u16>", 2)
    image = load(build.namespace("a", first), build.namespace("b", second))
    assert image.types.types_named("Node") == [first.offset, second.offset]


def test_arrays(load: Load) -> None:
    u16, usize = build.base("u16", 2, 7), build.base("__ARRAY_SIZE_TYPE__", 8, 7)
    by_count = Die(0x01, (0x49, build.REF4, u16), children=[
        Die(0x21, (0x49, build.REF4, usize), (0x22, build.DATA1, 0), (0x37, build.DATA1, 32)),
    ])  # fmt: skip
    by_bound = Die(0x01, (0x49, build.REF4, u16), children=[Die(0x21, (0x2F, build.DATA1, 3))])
    two_dimensions = Die(0x01, (0x49, build.REF4, u16), children=[
        Die(0x21, (0x37, build.DATA1, 3)),
        Die(0x21, (0x37, build.DATA1, 5)),
    ])  # fmt: skip
    nested = Die(0x01, (0x49, build.REF4, by_count), children=[Die(0x21, (0x37, build.DATA1, 2))])
    unknown = Die(0x01, (0x49, build.REF4, u16), children=[Die(0x21)])
    image = load(u16, usize, by_count, by_bound, two_dimensions, nested, unknown)
    kinds = image.types.type
    assert kinds(by_count.offset) == ArrayType("[u16; 32]", 64, u16.offset, 32)
    assert kinds(by_bound.offset) == ArrayType("[u16; 4]", 8, u16.offset, 4)
    assert kinds(nested.offset) == ArrayType("[[u16; 32]; 2]", 128, by_count.offset, 2)
    assert kinds(unknown.offset) == ArrayType("[u16; 0]", 0, u16.offset, 0)
    outer = kinds(two_dimensions.offset)
    assert isinstance(outer, ArrayType)
    assert (outer.name, outer.size, outer.count) == ("[[u16; 5]; 3]", 30, 3)
    assert kinds(outer.element) == ArrayType("[u16; 5]", 10, u16.offset, 5)


def test_unions_and_bit_fields(load: Load) -> None:
    u32 = build.base("u32", 4, 7)
    union = build.struct_type("U", 4, build.member("a", u32, 0), tag=0x17)
    bits = build.struct_type(
        "Bits", 4, Die(0x0D, (0x03, build.STRP, "high"), (0x49, build.REF4, u32), (0x6B, 0x0B, 24))
    )
    field = build.member("x", u32, 0)
    field.attributes[-1] = (0x38, build.BLOCK1, b"\x23\x04")  # DWARF 2: DW_OP_plus_uconst 4
    old = build.struct_type("Old", 8, field)
    image = load(u32, union, bits, old)
    assert only(image, "U") == UnionType("U", 4, (Member("a", u32.offset, 0),))
    assert only(image, "Bits") == StructType("Bits", 4, (Member("high", u32.offset, 3),))
    assert only(image, "Old") == StructType("Old", 8, (Member("x", u32.offset, 4),))


Selector = tuple[int, int, build.Value]
"""DW_AT_discr_value or DW_AT_discr_list."""


def enum(
    name: str, size: int, tag: Die | None, *variants: tuple[str, Selector | None]
) -> tuple[Die, list[Die]]:
    """An enum as rustc describes it, and the bodies of its variants."""
    bodies = [build.struct_type(variant, size) for variant, _ in variants]
    discriminant = Die(0x0D, (0x49, build.REF4, tag), (0x38, build.DATA1, 0)) if tag else None
    part = Die(
        0x33,
        *([(0x15, build.REF4, discriminant)] if discriminant else []),
        children=[discriminant] if discriminant else [],
    )
    for (variant, selector), body in zip(variants, bodies, strict=True):
        part.children.append(
            Die(0x19, *([selector] if selector else []), children=[build.member(variant, body, 0)])
        )
    return build.struct_type(name, size, part, *bodies), bodies


def ranges(found: Type) -> dict[str, tuple[tuple[int, int], ...]]:
    """Variant -> its discriminants."""
    assert isinstance(found, EnumType)
    return {variant.name: variant.discriminants for variant in found.variants}


def test_an_enum_with_a_niche(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    option, (_, some) = enum("Option<&T>", 8, u64, ("None", (0x16, build.DATA1, 0)), ("Some", None))
    some.children = [build.member("__0", u64, 0), build.parameter("T", u64)]
    image = load(u64, build.namespace("core", option))
    found = only(image, "Option")
    assert isinstance(found, EnumType)
    assert found.name == "core::Option<&T>"
    assert found.discriminant == Member("", u64.offset, 0)
    assert ranges(found) == {"None": ((0, 0),), "Some": ()}
    assert found.variants[1].body == Member("Some", some.offset, 0)
    assert only(image, "core::Option<&T>::Some").size == 8
    assert image.types.types_named("Some") == [], "bodies would hide what they wrap"


def test_generic_arguments_of_an_enum_are_those_of_its_bodies(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    option, (none, _) = enum("Option<u64>", 16, u64, ("None", (0x16, 0x0B, 0)), ("Some", None))
    none.children = [build.parameter("T", u64)]
    found = only(load(u64, option), "Option")
    assert isinstance(found, EnumType)
    assert found.parameters == (("T", u64.offset),)


@pytest.mark.parametrize(
    ("tag", "selector", "value"),
    [
        (build.base("i8", 1, 5), (0x16, build.DATA1, 0xFB), -5),
        (build.base("i8", 1, 5), (0x16, build.SDATA, -5), -5),
        (build.base("i64", 8, 5), (0x16, build.SDATA, -5), -5),
        (build.base("u8", 1, 7), (0x16, build.DATA1, 0xFB), 0xFB),
        (build.base("u64", 8, 7), (0x16, build.SDATA, -1 << 63), 1 << 63),
        (build.base("u64", 8, 7), (0x16, build.UDATA, 1 << 63), 1 << 63),
        (build.base("u32", 4, 7), (0x16, build.DATA4, 0x110000), 0x110000),
        (build.base("u128", 16, 7), (0x16, 0x0A, b"\1" + bytes(14) + b"\x80"), 1 << 127 | 1),
        (build.base("u128", 16, 7), (0x16, 0x1E, b"\1" + bytes(14) + b"\x80"), 1 << 127 | 1),
        (build.base("i128", 16, 5), (0x16, 0x0A, b"\xff" * 16), -1),
        (build.base("char", 4, 0x10), (0x16, build.DATA4, 0x110000), 0x110000),
    ],
)
def test_discriminants_are_what_one_reads(
    load: Load, tag: Die, selector: Selector, value: int
) -> None:
    found, _ = enum("E", 32, tag, ("A", selector), ("B", None))
    assert ranges(only(load(tag, found), "E")) == {"A": ((value, value),), "B": ()}


def test_a_list_of_discriminants(load: Load) -> None:
    u8 = build.base("u8", 1, 7)
    listed = bytes([0, 1, 1, 4, 0xFF, 0x01])  # 1, and 4 to 255
    found, _ = enum("E", 1, u8, ("A", (0x3D, 0x0A, listed)), ("B", None))
    assert ranges(only(load(u8, found), "E")) == {"A": ((1, 1), (4, 255)), "B": ()}


def test_enums_of_one_variant_and_of_none(load: Load) -> None:
    one, _ = enum("One", 4, None, ("Only", None))
    none, _ = enum("Never", 0, None)
    image = load(one, none)
    found, never = only(image, "One"), only(image, "Never")
    assert isinstance(found, EnumType)
    assert found.discriminant is None
    assert ranges(found) == {"Only": ()}
    assert never == EnumType("Never", 0, None, ())


def test_an_enum_without_data(load: Load) -> None:
    i16 = build.base("i16", 2, 5)
    enumerators = [
        Die(0x28, (0x03, build.STRP, "A"), (0x1C, build.SDATA, -3)),
        Die(0x28, (0x03, build.STRP, "B"), (0x1C, build.DATA1, 7)),
    ]
    color = build.struct_type("Color", 2, *enumerators, tag=0x04)
    color.attributes.append((0x49, build.REF4, i16))
    found = only(load(i16, build.namespace("os", color)), "Color")
    assert found == CEnumType("os::Color", 2, (("A", 0xFFFD), ("B", 7)))


def test_aliases_are_resolved(load: Load) -> None:
    u64 = build.base("u64", 8, 7)
    const = Die(0x26, (0x49, build.REF4, u64))
    typedef = Die(0x16, (0x03, build.STRP, "size_t"), (0x49, build.REF4, const))
    loop = Die(0x16, (0x03, build.STRP, "loop"))
    loop.attributes.append((0x49, build.REF4, loop))
    nothing = Die(0x26)
    pointer = Die(0x0F, (0x49, build.REF4, typedef))
    image = load(u64, const, typedef, loop, nothing, pointer)
    assert only(image, "size_t") == BaseType("u64", 8, "unsigned")
    assert only(image, "loop") == OpaqueType("{unknown}")
    assert image.types.type(nothing.offset) == OpaqueType("()")
    assert image.types.type(pointer.offset) == PointerType("*u64", 8, typedef.offset)


def test_what_has_no_layout(load: Load) -> None:
    signature = Die(0x15, (0x03, build.STRP, "fn(u8) -> u8"))
    extern = Die(0x13, (0x03, build.STRP, "Extern"), (0x3C, build.FLAG_PRESENT, 1))
    image = load(signature, extern)
    assert image.types.type(signature.offset) == OpaqueType("fn(u8) -> u8")
    assert image.types.type(extern.offset) == OpaqueType("Extern")
    assert image.types.types_named("Extern") == []
    assert image.types.type(0) == OpaqueType("()")
    assert image.types.type(0xFFFFFF) == OpaqueType("{unknown}")


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
