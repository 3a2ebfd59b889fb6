"""What `rcdbg print` and `rc print` answer: a static, a part of one, or the list of all."""

from rcdbg.image.elf import Image
from rcdbg.kernels.paths import parse
from rcdbg.model.kernel import Kernel
from rcdbg.model.serial import state as serial
from rcdbg.model.serial import values as serial_value
from rcdbg.model.values.inspect import DEFAULT_LIMITS, Limits, Node, inspect
from rcdbg.model.values.path import resolve
from rcdbg.model.values.statics import statics
from rcdbg.model.values.value import DecodeError
from rcdbg.views import value as value_view
from rcdbg.views.subjects import Answer

MAX_DEPTH = 32


def print_answer(kernel: Kernel, text: str, limits: Limits = DEFAULT_LIMITS) -> Answer:
    """The value at a path; raises UsageError for a path that makes no sense.

    Where memory on the way to it is nonsense, the answer is that problem.
    """
    node = read_path(kernel, text, limits)
    return Answer(value_view.view(node), serial.document("value", serial_value.node(node)))


def read_path(kernel: Kernel, text: str, limits: Limits = DEFAULT_LIMITS) -> Node:
    """The tree of the value at a path; raises as `print_answer`."""
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


def statics_answer(image: Image) -> Answer:
    """Every static that can be printed."""
    known = statics(image)
    names = {one.static.type: image.types.type(one.static.type).name for one in known}
    document = serial.document("statics", serial_value.statics(known, names)["statics"])
    return Answer(value_view.statics_view(known, names), document)
