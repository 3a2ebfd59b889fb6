"""Arguments and results out of registers, by the rules of rustc and of the RISC-V psABI."""

from dataclasses import dataclass, replace

import pytest

from rcdbg.errors import MemoryReadError
from rcdbg.image.tables import Function
from rcdbg.image.types import (
    ArrayType,
    BaseType,
    EnumType,
    Member,
    PointerType,
    StructType,
    Type,
    Variant,
)
from rcdbg.model.values.value import DecodeError
from rcdbg.trace.observers.arguments import arguments, parts, returned, signature
from rcdbg.trace.observers.plain import plain

U8, U32, U64, PTR, PAIR32, BIG, UNIT, OPTION, ARRAY, STR, RESULT, OK, ERR, SOME, NONE = range(1, 16)


@dataclass(eq=False)
class Types:
    known: dict[int, Type]

    def type(self, type_id: int) -> Type:
        return self.known[type_id]

    def types_named(self, name: str) -> list[int]:
        return []

    def statics(self):  # type: ignore[no-untyped-def]
        return iter(())

    def vtable_type(self, address: int) -> int | None:
        return None


def struct(name: str, size: int, *members: tuple[str, int, int]) -> StructType:
    return StructType(name, size, tuple(Member(*m) for m in members))


TYPES = Types(
    {
        U8: BaseType("u8", 1, "unsigned"),
        U32: BaseType("u32", 4, "unsigned"),
        U64: BaseType("u64", 8, "unsigned"),
        PTR: PointerType("*const u8", 8, U8),
        PAIR32: struct("(u32, u32)", 8, ("__0", U32, 0), ("__1", U32, 4)),
        BIG: struct("Big", 24, ("a", U64, 0), ("b", U64, 8), ("c", U64, 16)),
        UNIT: struct("Unit", 0),
        OPTION: EnumType(
            "Option<u32>",
            8,
            Member("", U32, 0),
            (
                Variant("None", ((0, 0),), Member("None", NONE, 0)),
                Variant("Some", ((1, 1),), Member("Some", SOME, 0)),
            ),
        ),
        NONE: struct("Option<u32>::None", 8),
        SOME: struct("Option<u32>::Some", 8, ("__0", U32, 4)),
        ARRAY: ArrayType("[u64; 2]", 16, U64, 2),
        STR: struct("&str", 16, ("data_ptr", PTR, 0), ("length", U64, 8)),
        RESULT: EnumType(
            "Result<u64, &str>",
            16,
            Member("", U64, 0),
            (
                Variant("Ok", ((0, 0),), Member("Ok", OK, 0)),
                Variant("Err", (), Member("Err", ERR, 0)),
            ),
        ),
        OK: struct("Result<u64, &str>::Ok", 16, ("__0", U64, 8)),
        ERR: struct("Result<u64, &str>::Err", 16, ("__0", STR, 0)),
    }
)


def nothing(address: int, size: int) -> bytes:
    raise MemoryReadError(address, size, "no memory in this test")


def registers(**named: int) -> tuple[int, ...]:
    x = [0xDEAD_0000_0000_0000 + i for i in range(32)]
    for name, value in named.items():
        x[2 if name == "sp" else 10 + int(name[1:])] = value
    return tuple(x)


def function(*parameters: int, result: int = U64) -> Function:
    named = tuple((f"p{i}", type_id) for i, type_id in enumerate(parameters))
    return Function("f", "f", ((0x1000, 4),), parameters=named, result=result)


@pytest.mark.parametrize(
    ("type_id", "spread"),
    [
        (U8, ((0, 1),)),
        (UNIT, ()),
        (PAIR32, ((0, 4), (4, 4))),
        (OPTION, ((0, 4), (4, 4))),
        (STR, ((0, 8), (8, 8))),
        (ARRAY, None),
        (BIG, None),
        (RESULT, None),
    ],
)
def test_how_values_are_spread(type_id: int, spread: object) -> None:
    assert parts(TYPES, type_id) == spread


def test_pairs_take_two_registers_and_zero_sized_values_none() -> None:
    how = signature(function(UNIT, PAIR32, U8), TYPES)
    x = registers(a0=0xFFFF_FFFF_0000_0001, a1=2, a2=0x1FF)
    found = [plain(a.value, lambda _: None) for a in arguments(how, TYPES, x, nothing) if a.value]
    assert found == [None, {"0": 1, "1": 2}, 0xFF]


def test_two_words_by_reference_take_one_register() -> None:
    """A struct of #[repr(C)] structs has the shape of a pair; the debug info says what it is."""
    by_value = function(STR, U64)
    how = signature(replace(by_value, by_reference=(0,)), TYPES)
    x = registers(a0=0x5000, a1=7)
    pair, number = arguments(how, TYPES, x, nothing)
    assert pair.value is not None
    assert number.value is not None
    assert (pair.value.address, number.value.scalar()) == (0x5000, 7)
    _, number = arguments(signature(by_value, TYPES), TYPES, registers(a2=8), nothing)
    assert number.value is not None
    assert number.value.scalar() == 8


def test_a_result_in_memory_moves_the_arguments_by_one_register() -> None:
    how = signature(function(U64, result=BIG), TYPES)
    (only,) = arguments(how, TYPES, registers(a0=0x5000, a1=7), nothing)
    assert only.value is not None
    assert only.value.scalar() == 7


def test_the_ninth_word_is_on_the_stack() -> None:
    def stack(address: int, size: int) -> bytes:
        assert (address, size) == (0x9000, 8)
        return (99).to_bytes(8, "little")

    how = signature(function(*[U64] * 9), TYPES)
    found = arguments(how, TYPES, registers(sp=0x9000), stack)
    assert found[8].value is not None
    assert found[8].value.scalar() == 99
    missing = arguments(how, TYPES, registers(sp=0x9000), nothing)[8]
    assert missing.value is None
    assert "no memory" in missing.why


def test_a_garbage_pointer_is_a_doubt_and_no_crash() -> None:
    how = signature(function(STR), TYPES)
    (text,) = arguments(how, TYPES, registers(a0=0xBAD, a1=5), nothing)
    assert text.value is not None
    with pytest.raises(DecodeError, match="no memory"):
        plain(text.value, lambda _: None)


def test_an_option_in_two_registers() -> None:
    how = signature(function(result=OPTION), TYPES)
    some = returned(how, TYPES, registers(a0=1, a1=42), nothing, 0)
    none = returned(how, TYPES, registers(a0=0, a1=42), nothing, 0)
    assert plain(some, lambda _: None) == {"Some": 42}
    assert plain(none, lambda _: None) == "None"
