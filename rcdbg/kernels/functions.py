"""Functions by the names that descriptions have for them: `Type::function`, `Trait::function`."""

from functools import lru_cache

from rcdbg.image.elf import Image
from rcdbg.image.symbols import simplified
from rcdbg.image.tables import Function

_WORDS = 2


def functions_named(image: Image, name: str) -> list[Function]:
    """The functions `Type::function`, or `Trait::function` of any type; all of a generic one."""
    return [*_by_name(image).get(tuple(name.split("::")), ())]


@lru_cache(maxsize=8)
def _by_name(image: Image) -> dict[tuple[str, ...], list[Function]]:
    """All functions, by their last two words and by trait and function."""
    found: dict[tuple[str, ...], list[Function]] = {}
    for function in image.functions:
        last_two = simplified(function.path).split("::")[-2:]
        for name in dict.fromkeys((tuple(last_two), _of_trait(function.path))):
            found.setdefault(name, []).append(function)
    return found


def _of_trait(path: str) -> tuple[str, ...]:
    """Trait and function of `<Type as Trait>::function`."""
    head, separator, function = path.rpartition(">::")
    _, is_impl, trait = head.rpartition(" as ")
    if not separator or not is_impl or not path.startswith("<"):
        return ()
    return trait.partition("<")[0].rsplit("::", 1)[-1], function.partition("<")[0]


def function_names(image: Image) -> list[str]:
    """What `functions_named` knows: `Type::function` of each."""
    return ["::".join(name) for name in _by_name(image) if len(name) == _WORDS]
