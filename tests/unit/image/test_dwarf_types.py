"""Types, from DWARF made by hand as rustc or a C compiler do."""

import pytest

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
from tests.unit.image.build import Die

from .conftest import Load, only


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
