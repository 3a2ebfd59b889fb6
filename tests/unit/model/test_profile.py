"""Profiles from TOML files: names that differ, and one clear line for what cannot be."""

from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.model.profile import Profile, load_profile


def written(folder: Path, text: str) -> Path:
    path = folder / "kernel.toml"
    path.write_text(text)
    return path


def test_only_what_differs(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, 'processor = "Cpu"\ntrap_entry = "trap_enter"\n'))
    assert (profile.processor, profile.trap_entry) == ("Cpu", "trap_enter")
    assert profile.thread == Profile().thread
    assert load_profile(written(tmp_path, "")) == Profile()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('procesor = "Cpu"', "did you mean processor?"),
        ('zzzzzz = "Cpu"', "known are context, thread"),
        ("processor = 3", "has to be a name"),
        ('processor = " "', "has to be a name"),
        ("[processor]\ncurent = 'x'", "did you mean current?"),
        ("processor", "is no TOML file"),
        ("x = 1 # " + "a" * 70_000, "larger than"),
    ],
)
def test_what_is_no_profile(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_profile(written(tmp_path, text))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.toml", Path("a\0b")):
        with pytest.raises(UsageError, match="cannot read the profile"):
            load_profile(path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no TOML"):
        load_profile(tmp_path / "binary.toml")
