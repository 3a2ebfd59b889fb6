from collections.abc import Callable
from pathlib import Path

import pytest

from rcdbg.image.elf import Image, load_image
from rcdbg.image.types import Type
from tests.unit.image import build
from tests.unit.image.build import Die, Dwarf

Load = Callable[..., Image]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that only this test sees."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "rcdbg"


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
