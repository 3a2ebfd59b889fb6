import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.image.demangle import demangle


@pytest.mark.parametrize(
    ("mangled", "path"),
    [
        # From RFC 2603 and the tests of rustc-demangle: what each construct stands for.
        ("_RNvC6_123foo3bar", "123foo::bar"),
        ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
        (
            "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
            "utf8_idents::საჭმელად_გემრიელი_სადილი",
        ),
        ("_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}"),
        (
            "_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_E"
            "Cs1iopQbuBiw2_3std",
            "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>",
        ),
        ("_RNvMC0INtC8arrayvec8ArrayVechKj7b_E3new", "<arrayvec::ArrayVec<u8, 123>>::new"),
        ("_RINtC8arrayvec8ArrayVecaKan80_E", "arrayvec::ArrayVec::<i8, -128>"),
        ("_RINtCs1234_1c1SKb1_Kc76_E", "c::S::<true, 'v'>"),
        ("_RINvC1c1fFG_RL0_hEuE", "c::f::<for<'a> fn(&'a u8)>"),
        ("_RINvC1c1fFUKCRQPOhEzE", "c::f::<unsafe extern \"C\" fn(&&mut *const *mut u8) -> !>"),
        ("_RINvC1c1fTThElSyAhj4_EE", "c::f::<((u8,), i32, [u64], [u8; 4])>"),
        (
            "_RNvXs3_NtCsf_2os7processNtB5_9PROCESSORNtNtNtCsc_4core3ops5deref5Deref5deref",
            "<os::process::PROCESSOR as core::ops::deref::Deref>::deref",
        ),
        ("_RNvYNtC2os1TNtC4core5Clone5clone", "<os::T as core::Clone>::clone"),
        ("_RNvCs1234_2os4main.llvm.1234", "os::main"),
    ],
)  # fmt: skip
def test_readable_paths(mangled: str, path: str) -> None:
    assert demangle(mangled) == path


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("os", "memory", "init"), "os::memory::init"),
        (
            ("_$LT$os..process..CPU$u20$as$u20$core..Deref$GT$", "deref", "LAZY"),
            "<os::process::CPU as core::Deref>::deref::LAZY",
        ),
        (("core", "drop$LT$$RF$mut$u20$$u5b$u8$u5d$$GT$"), "core::drop<&mut [u8]>"),
        (("os", "main", "_$u7b$$u7b$closure$u7d$$u7d$"), "os::main::{{closure}}"),
        (("a", "f$LT$$LP$$BP$const$u20$u8$C$T$RP$$GT$"), "a::f<(*const u8,T)>"),
    ],
)  # fmt: skip
def test_readable_legacy_paths(parts: tuple[str, ...], path: str) -> None:
    mangled = "".join(f"{len(part)}{part}" for part in (*parts, "h0123456789abcdef"))
    assert demangle(f"_ZN{mangled}E") == path
    assert demangle(f"_ZN{mangled}E.llvm.123") == path
    assert demangle(f"_ZN{mangled}Ev") is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "rust_main",
        "_R",
        "_ZN",
        "_ZN3fooE",  # C++: no hash
        "_ZN3foo17h0123456789abcdeE",
        "_ZN999foo17h0123456789abcdefE",
        "_RNvC2os",
        "_RB_",  # refers to itself
        "_RNvB_3foo",
        "_R1NvC2os4main",  # a later version of the scheme
        "_RNvC2os4main!",
    ],
)
def test_what_is_not_a_mangled_rust_name(name: str) -> None:
    assert demangle(name) is None


def test_doubling_back_references_are_given_up() -> None:
    # Each tuple holds the previous one twice: 2**40 elements, were they written out.
    text = "INvC1a1bTuuE"
    start = 8
    for _ in range(40):
        here = len(text)
        reference = f"B{_base62(start)}_"
        text += f"T{reference}{reference}E"
        start = here
    assert demangle("_R" + text + "E") is None


def _base62(value: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    value, out = value - 1, ""
    while True:
        value, digit = divmod(value, 62)
        out = digits[digit] + out
        if not value:
            return out


@given(st.text(alphabet="_RINvCXMYsuE019BTKLzahjpFDSQ", max_size=60))
def test_any_text_of_the_v0_alphabet_is_handled(text: str) -> None:
    found = demangle("_R" + text)
    assert found is None or isinstance(found, str)


@given(st.text(max_size=60))
def test_any_legacy_text_is_handled(text: str) -> None:
    found = demangle("_ZN" + text)
    assert found is None or isinstance(found, str)
