"""Paths: parsed, statics found by any reasonable name, nonsense refused in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.errors import UsageError
from rcdbg.image.types import Static
from rcdbg.kernels.paths import Deref, Field, Index, Path, parse
from rcdbg.model.values.statics import NamedStatic, find_static


def known(*names: str) -> list[NamedStatic]:
    return [NamedStatic(n, Static(n, "", 0x1000 * i, 1)) for i, n in enumerate(names, 1)]


STATICS = known(
    "os::process::processor::PROCESSOR", "os::a::CHOSEN", "os::b::CHOSEN", "os::timer::TICKS"
)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("TICKS", Path("TICKS", ())),
        ("os::a::B.c.0", Path("os::a::B", (Field("c"), Field("__0")))),
        ("A[2][0x10]", Path("A", (Index(2), Index(16)))),
        ('A["x \\" y"]', Path("A", (Index('x " y'),))),
        ("A[-3].b", Path("A", (Index(-3), Field("b")))),
        ("**A.b", Path("A", (Field("b"), Deref(), Deref()))),
        ("(*A.b).c", Path("A", (Field("b"), Deref(), Field("c")))),
        (" A . b [ 1 ] ", Path("A", (Field("b"), Index(1)))),
    ],
)
def test_parse(text: str, path: Path) -> None:
    assert parse(text) == path


@given(st.text(alphabet='Aa1_:.[]*()"\\ -x\n', max_size=30) | st.text(max_size=20))
def test_any_text_is_a_path_or_refused_in_one_line(text: str) -> None:
    try:
        assert parse(text).static
    except UsageError as error:
        refused = str(error)
    else:
        refused = ""
    assert "\n" not in refused


@pytest.mark.parametrize(
    "name",
    ["PROCESSOR", "processor::PROCESSOR", "os::process::PROCESSOR", "os::PROCESSOR",
     "os::process::processor::PROCESSOR"],
)  # fmt: skip
def test_a_static_by_the_names_that_people_have_for_it(name: str) -> None:
    assert find_static(STATICS, name).path == "os::process::processor::PROCESSOR"


def test_a_name_that_two_statics_have() -> None:
    with pytest.raises(UsageError, match="os::a::CHOSEN, os::b::CHOSEN"):
        find_static(STATICS, "CHOSEN")
    assert find_static(STATICS, "b::CHOSEN").path == "os::b::CHOSEN"


@pytest.mark.parametrize(
    ("name", "words"), [("PROCESOR", "did you mean os::process"), ("zzz", "lists all")]
)
def test_a_name_that_none_has(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find_static(STATICS, name)
