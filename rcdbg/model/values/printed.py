"""What can be printed by its path: a static, a part of one, or the list of all."""

from collections.abc import Mapping
from dataclasses import dataclass

from rcdbg.image.elf import Image
from rcdbg.kernels.paths import parse
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.inspect import DEFAULT_LIMITS, Limits, Node, inspect
from rcdbg.model.values.path import resolve
from rcdbg.model.values.statics import NamedStatic, statics
from rcdbg.model.values.value import DecodeError


@dataclass(frozen=True, slots=True)
class Statics:
    """Every static that can be printed, with the names of their types by type."""

    known: tuple[NamedStatic, ...]
    type_names: Mapping[int, str]


def read_path(kernel: Kernel, text: str, limits: Limits = DEFAULT_LIMITS) -> Node:
    """The tree of the value at a path; raises UsageError for a path that makes no sense.

    Where memory on the way to it is nonsense, the tree is that problem.
    """
    parse(text)
    try:
        found = resolve(kernel, text)
    except DecodeError as error:
        return Node(text, "?", "unknown", 0, problems=(error.problem,))

    def symbol(address: int) -> str | None:
        at = kernel.image.symbols.at(address)
        if at is None:
            return None
        name, offset = at
        return f"{name}+{offset:#x}" if offset else name

    return inspect(found, text, limits, symbol)


def read_statics(image: Image) -> Statics:
    """The statics of an image, in the order of their names."""
    known = statics(image)
    names = {one.static.type: image.types.type(one.static.type).name for one in known}
    return Statics(known, names)
