"""A user's partial description: what differs, by tables or flat keys, and one line for nonsense."""

from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.kernels import flat
from rcdbg.kernels.description import Description, Names
from rcdbg.kernels.reading import NOTHING, Overlay, load_overlay, overlay_of
from rcdbg.kernels.recognise import family


def over_lab(text: str) -> Description:
    return overlay_of(text.encode(), "kernel.toml").over(family("lab"))


def texts(paths: tuple[object, ...]) -> list[str]:
    return [str(path) for path in paths]


def test_only_what_differs() -> None:
    lab = family("lab")
    found = over_lab('[processor]\ntype = "Cpu"\nready = ["queue", "run_queue.all"]\n')
    assert found.processor.type == ("Cpu",)
    assert texts(found.processor.ready) == ["queue", "run_queue.all"]
    assert found.processor.current == lab.processor.current
    assert found.thread == lab.thread
    assert over_lab("") == lab


def test_the_flat_keys_of_earlier_files() -> None:
    found = over_lab('processor = "Cpu"\ntrap_return = "leave"\nthread_stack = "memory"\n')
    assert found.processor.type == ("Cpu",)
    assert found.trap.exit == ("leave",)
    assert found.trap.entry == family("lab").trap.entry
    assert texts(found.thread.stack_start) == ["memory.start"]
    assert texts(found.thread.stack_end) == ["memory.end"]


def test_a_flat_key_that_is_a_part_of_several_entries() -> None:
    found = over_lab('thread_inner = "guarded"\nthread_context = "frame"\n').thread
    assert texts(found.context) == ["guarded.frame", "frame"]
    assert texts(found.sleeping) == ["guarded.sleeping", "sleeping"]


def test_several_functions_in_one_flat_key() -> None:
    found = over_lab('frame_alloc = "Frames::take Pool::take"\n')
    assert found.calls.frame_alloc == ("Frames::take", "Pool::take")


def test_a_table_counts_more_than_a_flat_key() -> None:
    found = over_lab('thread_id = "number"\nthread_dead = "gone"\n[thread]\nid = "tid"\n')
    assert texts(found.thread.id) == ["tid"]
    assert texts(found.thread.dead) == ["inner.gone", "gone"]


def test_the_flat_keys_without_a_value_mean_what_the_labs_description_says() -> None:
    """What a file does not say is called as in the labs: both tables have to agree on that."""
    every = "".join(f'{key} = "{name}"\n' for key, name in flat.KEYS.items())
    assert over_lab(every) == family("lab")


def test_a_file_with_flat_keys_is_of_the_labs_unless_another_family_is_recognised() -> None:
    assert overlay_of(b'heap = "Pool"', "x").fallback == "lab"
    table = overlay_of(b'[heap]\ntype = "Pool"', "x")
    assert table == Overlay((("heap", "type", Names(["Pool"])),))
    assert overlay_of(b'family = "lab"', "x").family == "lab"
    assert overlay_of(b"", "x") == NOTHING


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('procesor = "Cpu"', "did you mean processor?"),
        ('zzzzzz = "Cpu"', "known are context, thread"),
        ("processor = 3", "has to be a name"),
        ('processor = " "', "has to be a name"),
        ("queue = 3", "has to be a table, such as [queue]"),
        ("[processor]\ncurent = 'x'", "no key 'curent' in [processor]; did you mean current?"),
        ("[processor]\ntype = 3", '[processor] type has to be a text such as "NAME"'),
        ("[processor]\ncurrent = ['a', 3]", "[processor] current has to be a text"),
        ("[processor]\ncurrent = 'a..'", "'a..' is no path from a value"),
        ("[queue]\nat = '[3]'", "[queue] at: '[3]': it should start with the name of a static"),
        ("[idle]\nis_lone = 1", "[idle] is_lone has to be true or false"),
        ("[evidence]\nenough = true", "[evidence] enough has to be a number from 1 on"),
        ("[evidence]\nenough = 0", "[evidence] enough has to be a number from 1 on"),
        ("processor", "is no TOML file"),
        ("x = 1 # " + "a" * 70_000, "larger than"),
    ],
)
def test_what_is_no_profile(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        overlay_of(text.encode(), "kernel.toml")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("kernel.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.toml", Path("a\0b")):
        with pytest.raises(UsageError, match="cannot read the profile"):
            load_overlay(path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no TOML"):
        load_overlay(tmp_path / "binary.toml")
