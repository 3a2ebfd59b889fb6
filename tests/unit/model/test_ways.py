"""Ways to the parts of values: which alternative counts, what is looked through, what is said."""

import pytest

from rcdbg.image.types import CEnumType, Member, StructType, TypeId
from rcdbg.kernels.description import Keys, Names, Paths
from rcdbg.kernels.paths import parse_relative
from rcdbg.model.values.containers import variant_name
from rcdbg.model.values.parts import (
    find,
    has,
    has_struct_inside,
    number,
    numbers,
    part,
    parts,
    struct_inside,
)
from rcdbg.model.values.value import DecodeError, Value
from tests.unit.model.kernels import WorldOfStatics


def ways(*texts: str) -> Paths:
    return Paths(parse_relative(text) for text in texts)


class Shop(WorldOfStatics):
    """A Shelf of items behind a lock, an item in an Option of an Arc, numbers in newtypes."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        code = self.add(StructType("shop::Code", 8, (Member("__0", self.u64, 0),)))
        self.item = self.struct("shop::Item", [("code", code), ("price", self.u64)])
        self.items = self.vec_type(self.option_pointer(self.arc_of(self.item)))
        self.lock = self.mutex_of(self.struct("shop::Shelf", [("items", self.items)]))
        fields = [("shelf", self.lock), ("best", self.option_pointer(self.arc_of(self.item)))]
        self.shop = self.new(self.struct("shop::Shop", fields))

    def shelf(self) -> Value:
        return self.guarded(self.shop["shelf"])

    def fill(self, *codes: int | None) -> None:
        """Items with these codes; None is an empty place."""
        places = self.fill_vec(self.shelf()["items"], len(codes), len(codes) + 1)
        for place, code in zip(places, codes, strict=True):
            if code is not None:
                arc = self.counted(self.item)
                self.put(self.behind(arc)["code"].address, code)
                self.put(place.address, arc["ptr"]["__0"].scalar())


@pytest.mark.parametrize("seed", range(4))
def test_through_locks_options_and_counts(seed: int) -> None:
    world = Shop(seed)
    world.fill(11, None, 12)
    found = list(parts(world.shop, ways("shelf.items[*].code")))
    assert [value.scalar() for value in found] == [11, 12], "an empty place is none"
    assert found[1].path == "value.shelf.items[2]"
    assert find(world.shop, ways("best")).value is None
    with pytest.raises(DecodeError, match=r"value\.best\.code: there is nothing now"):
        number(world.shop, ways("best.code"))
    arc = world.counted(world.item)
    world.put(world.shop["best"].address, arc["ptr"]["__0"].scalar())
    world.put(world.behind(arc)["price"].address, 3)
    assert number(world.shop, ways("best.price")) == 3
    assert part(world.shop, ways("shelf.items[2].code")).scalar() == 12


def test_the_first_alternative_that_the_type_has() -> None:
    world = Shop()
    world.put(world.shop["best"].address, world.counted(world.item)["ptr"]["__0"].scalar())
    assert has(world.shop, ways("worst", "best"))
    assert not has(world.shop, ways("worst", "best.name"))
    assert not has(world.shop, ways())
    assert part(world.shop, ways("worst.price", "best.price")).path == "value.best.price"
    with pytest.raises(DecodeError, match=r"shop::Shop has no worst\.price"):
        part(world.shop, ways("worst.price", "best.name"))
    with pytest.raises(DecodeError, match="no part of shop::Shop is known"):
        part(world.shop, ways())


def test_an_alternative_counts_though_there_is_nothing_now() -> None:
    """Types choose: else what a kernel has would change with what it does."""
    world = Shop()
    assert find(world.shop, ways("best", "shelf")).value is None


def test_anywhere_inside_but_behind_no_pointer() -> None:
    world = Shop()
    world.fill(7)
    assert part(world.shop, ways("..items")).type_id == world.items
    assert not has(world.shop, ways("..price"))
    assert number(next(parts(world.shop, ways("..items[*]"))), ways("..code")) == 7


def test_whether_the_lock_is_held() -> None:
    world = Shop()
    shelf = Names(["Shelf"])
    assert find(world.shop, ways("shelf.items")).locked is False
    world.write(world.shop["shelf"]["inner"]["lock"]["__0"].address, b"\1")
    assert find(world.shop, ways("shelf.items")).locked is True
    assert find(world.shop, ways("..items")).locked is True
    assert struct_inside(world.shop, shelf).locked is True
    assert find(world.shop, ways("best")).locked is None


def test_a_struct_by_its_name() -> None:
    world = Shop()
    assert struct_inside(world.shop, Names(["Rack", "Shelf"])).value == world.shelf().at(
        world.shelf().type_id, world.shelf().address, "value"
    )
    item = Names(["Item"])
    assert has_struct_inside(world, world.shop.type_id, item), "what a field points to"
    assert struct_inside(world.shop, item).value is None
    assert not has_struct_inside(world, world.shop.type_id, Names(["Customer"]))
    with pytest.raises(DecodeError, match="no Customer in shop::Shop"):
        struct_inside(world.shop, Names(["Customer"]))


def test_keys_are_all_that_there_are() -> None:
    world = Shop()
    item = world.new(world.item)
    world.put(item["code"].address, 5)
    world.put(item["price"].address, 6)
    keys = Keys(parse_relative(text) for text in ("price", "weight", "code"))
    assert numbers(item, keys) == (6, 5)


@pytest.mark.parametrize("strong", [0, 1 << 63])
def test_a_count_that_cannot_be(strong: int) -> None:
    world = Shop()
    arc = world.counted(world.item)
    counts = world.value(world.type_behind(arc), arc["ptr"]["__0"].scalar())
    world.put(counts["strong"].address, strong)
    world.put(world.shop["best"].address, counts.address)
    with pytest.raises(DecodeError, match=f"with a strong count of {strong}"):
        find(world.shop, ways("best"))


def weak_of(world: Shop, arc: Value) -> TypeId:
    fields = (Member("ptr", arc["ptr"].type_id, 0),)
    return world.add(StructType("alloc::sync::Weak<T>", 8, fields, (("T", world.item),)))


def test_a_weak_pointer_to_what_is_there_was_dropped_or_never_was() -> None:
    world = Shop()
    arc = world.counted(world.item)
    holder = world.new(world.struct("shop::Note", [("about", weak_of(world, arc))]))
    counts = world.value(world.type_behind(arc), arc["ptr"]["__0"].scalar())
    world.put(holder["about"].address, counts.address)
    found = find(holder, ways("about")).value
    assert found is not None
    assert found.address == counts["data"].address
    world.put(counts["strong"].address, 0)
    assert find(holder, ways("about")).value is None
    world.put(holder["about"].address, (1 << 64) - 1)
    assert find(holder, ways("about")).value is None


def test_a_raw_pointer_is_followed_where_the_path_says_so_and_null_is_nothing() -> None:
    world = Shop()
    holder = world.new(world.struct("shop::Node", [("next", world.pointer(world.item))]))
    assert find(holder, ways("*next")).value is None
    assert number(holder, ways("next")) == 0
    item = world.new(world.item)
    world.put(holder["next"].address, item.address)
    world.put(item["price"].address, 9)
    assert part(holder, ways("*next")).address == item.address
    assert number(holder, ways("next.price")) == 9


def test_what_is_not_initialised_is_nothing_yet() -> None:
    world = Shop()
    for status, there in ((0, False), (1, False), (2, True), (3, False)):
        lazy = world.lazy(5, status)
        assert (find(lazy, ways(".")).value is not None) is there


def test_memory_that_cannot_be_read_is_named_by_the_path() -> None:
    world = Shop()
    world.put(world.shop["best"].address, 0x10)
    with pytest.raises(DecodeError, match=r"value\.best\.price: .*not in RAM"):
        number(world.shop, ways("best.price"))


def test_many_values_are_no_single_one() -> None:
    world = Shop()
    with pytest.raises(DecodeError, match="this means many values"):
        part(world.shop, ways("shelf.items[*]"))


def test_variants_by_name() -> None:
    world = Shop()
    state = world.new(world.add(CEnumType("shop::State", 1, (("Open", 1), ("Closed", 2)))))
    world.write(state.address, b"\2")
    assert variant_name(state) == "Closed"
    world.write(state.address, b"\7")
    with pytest.raises(DecodeError, match="0x7 is no variant of shop::State"):
        variant_name(state)
