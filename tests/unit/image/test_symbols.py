from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.image.elf import load_image
from rcdbg.image.symbols import Symbols, simplified
from tests.unit.image import build
from tests.unit.image.build import BASE, Symbol


def legacy(*parts: str) -> str:
    """A mangled name of the legacy scheme."""
    mangled = "".join(f"{len(part)}{part}" for part in (*parts, "h0123456789abcdef"))
    return f"_ZN{mangled}E"


DATA = BASE + 0x2000


@pytest.fixture
def symbols(tmp_path: Path) -> Symbols:
    found = [
        Symbol("_start", BASE, 0, kind=0),
        Symbol(".Lpcrel_hi7", BASE + 2, 0, kind=0, is_local=True),
        Symbol("$x", BASE + 2, 0, kind=0, is_local=True),
        Symbol(legacy("os", "interrupt", "handle_interrupt"), BASE + 8, 8),
        Symbol("__interrupt", BASE + 16, 0, kind=0),
        Symbol("_RNvMs1_NtC2os6threadNtB5_6Thread5yield", BASE + 24, 8),
        Symbol(legacy("os", "thread", "new"), BASE + 32, 4),
        Symbol(legacy("os", "process", "new"), BASE + 36, 4),
        Symbol(legacy("core", "ptr", "drop_in_place$LT$os..T$GT$"), BASE + 40, 4),
        Symbol("_RNvC2os6merged.llvm.99", BASE + 44, 4, is_local=True),
        Symbol("local_twin", BASE + 48, 4, is_local=True, section=1),
        Symbol("local_twin", BASE + 52, 4, section=1),
        Symbol("boot_stack", DATA + 0x10, 0, kind=0, section=4),
        Symbol(legacy("os", "heap", "HEAP"), DATA, 8, kind=1, section=4),
        Symbol("alias_of_heap", DATA, 0, kind=0, section=4),
        Symbol("kernel_end", DATA + 0x10 + 4096, 0, kind=0, section=4),
        Symbol("BASE_ADDRESS", BASE, 0, kind=0, section=0xFFF1),
        Symbol("main.rs", 0, 0, kind=4),
        Symbol("undefined", 0, 0, kind=0, section=0),
    ]
    path = tmp_path / "os"
    path.write_bytes(build.kernel(symbols=found).bytes())
    return load_image(path).symbols


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("_start", BASE),
        ("BASE_ADDRESS", BASE),
        (legacy("os", "interrupt", "handle_interrupt"), BASE + 8),
        ("os::interrupt::handle_interrupt", BASE + 8),
        ("interrupt::handle_interrupt", BASE + 8),
        ("handle_interrupt", BASE + 8),
        ("thread::new", BASE + 32),
        ("os::process::new", BASE + 36),
        ("<os::thread::Thread>::yield", BASE + 24),
        ("os::thread::Thread::yield", BASE + 24),
        ("Thread::yield", BASE + 24),
        ("HEAP", DATA),
        ("local_twin", BASE + 52),  # the global one
        ("drop_in_place", BASE + 40),
        ("_RNvC2os6merged", BASE + 44),
        ("_RNvC2os6merged.llvm.99", BASE + 44),
        ("os::merged", BASE + 44),
        ("handle", None),  # no prefix
        ("thread::handle_interrupt", None),
        ("", None),
        ("::", None),
        ("main.rs", None),
        ("undefined", None),
        (".Lpcrel_hi7", None),
    ],
)
def test_addresses_of_names(symbols: Symbols, name: str, address: int | None) -> None:
    assert symbols.address_of(name) == address


def test_an_ambiguous_name_lists_its_meanings(symbols: Symbols) -> None:
    with pytest.raises(UsageError) as caught:
        symbols.address_of("new")
    assert str(caught.value) == (
        f"new is ambiguous: os::thread::new ({BASE + 32:#x}), os::process::new ({BASE + 36:#x});"
        " give more of the path"
    )


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (BASE, ("_start", 0)),
        (BASE + 7, ("_start", 7)),
        (BASE + 8, ("os::interrupt::handle_interrupt", 0)),
        (BASE + 15, ("os::interrupt::handle_interrupt", 7)),
        (BASE + 23, ("__interrupt", 7)),
        (BASE + 24, ("<os::thread::Thread>::yield", 0)),
        (DATA, ("os::heap::HEAP", 0)),  # sized, so better than its alias
        (DATA + 8, None),  # padding behind it
        (DATA + 0x10 + 4095, ("boot_stack", 4095)),
        (DATA + 0x10 + 4096, ("kernel_end", 0)),
        (DATA + 0x10 + 4097, None),
        (BASE - 1, None),
        (BASE + 0x500, None),  # between the sections
        (0, None),
        ((1 << 64) - 1, None),
    ],
)
def test_names_of_addresses(symbols: Symbols, address: int, found: tuple[str, int] | None) -> None:
    assert symbols.at(address) == found


def test_a_label_does_not_reach_past_other_symbols(symbols: Symbols) -> None:
    # Behind a function that ended; the label __interrupt is further down.
    assert symbols.at(BASE + 57) is None


def test_local_labels_are_left_out(symbols: Symbols) -> None:
    assert not [symbol for symbol in symbols if symbol.name.startswith((".L", "$"))]


def test_suggestions_are_the_names_meant(symbols: Symbols) -> None:
    assert symbols.suggest("handle_interupt")[0] == "os::interrupt::handle_interrupt"
    assert symbols.suggest("Thread::yeild")[0] == "os::thread::Thread::yield"
    assert symbols.suggest("zzzzzz") == []
    assert symbols.suggest("") == []


def test_completion(symbols: Symbols) -> None:
    assert symbols.complete("handle_") == ["os::interrupt::handle_interrupt"]
    assert symbols.complete("os::thread::") == ["os::thread::Thread::yield", "os::thread::new"]
    assert symbols.complete("Thread::y") == ["os::thread::Thread::yield"]
    assert symbols.complete("boot") == ["boot_stack"]
    assert symbols.complete("nothing") == []
    assert len(symbols.complete("", count=3)) == 3


@pytest.mark.parametrize(
    ("path", "simple"),
    [
        ("os::main", "os::main"),
        ("<os::Pool<T> as core::ops::Deref>::deref", "os::Pool::deref"),
        ("<<a::B<T> as c::D>::e::F as g::H>::i::<j::K>", "a::B::e::F::i"),
        ("alloc::vec::Vec<(u8, a::B)>::push<[u8; 4]>", "alloc::vec::Vec::push"),
        ("os::main::{closure#0}", "os::main::{closure#0}"),
        ("<fn(u8) -> a::B as c::D>::e", "fn(u8) -> a::B::e"),
        ("core::fmt::num::<impl core::fmt::Debug for i32>::fmt", "core::fmt::num::fmt"),
        ("<", "<"),
        ("a::<b", "a"),
        (">::>", ">::>"),
    ],
)
def test_paths_made_simple(path: str, simple: str) -> None:
    assert simplified(path) == simple


def test_a_stripped_image_has_no_symbols(tmp_path: Path) -> None:
    path = tmp_path / "os"
    path.write_bytes(build.kernel().bytes())
    found = load_image(path).symbols
    assert len(found) == 0
    assert found.at(BASE) is None
    assert found.address_of("_start") is None
    assert found.suggest("_start") == []
