"""What lies at an address, by the statics' types: `cons.r`, `proc[1]`."""

from rcdbg.image.types import ArrayType, StructType
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.statics import short_name
from rcdbg.model.values.value import MAX_DEPTH


def path_to(kernel: Kernel, address: int) -> str:
    """The way from a static to what begins at that address; "" where no static has it."""
    types = kernel.image.types
    for static in types.statics():
        offset = address - static.address
        if not 0 <= offset < types.type(static.type).size:
            continue
        name = short_name(static)
        return name + _inside(kernel, static.type, offset)
    return ""


def _inside(kernel: Kernel, type_id: int, offset: int) -> str:
    """The steps to what is that many bytes into a value; as far as types tell."""
    types, path = kernel.image.types, ""
    for _ in range(MAX_DEPTH):
        kind = types.type(type_id)
        if isinstance(kind, ArrayType) and types.type(kind.element).size:
            number, offset = divmod(offset, types.type(kind.element).size)
            path, type_id = f"{path}[{number}]", kind.element
            if not offset:
                return path
            continue
        members = kind.members if isinstance(kind, StructType) else ()
        inside = [m for m in members if 0 <= offset - m.offset < types.type(m.type).size]
        if not inside or (not offset and not path):
            break
        member = inside[-1]
        offset, type_id, path = offset - member.offset, member.type, f"{path}.{member.name}"
        if not offset:
            return path
    return path + (f"+{offset:#x}" if offset else "")
