"""Lists through the entries themselves. Source: the crate linked_list_r4l."""

from collections.abc import Iterator

from rcdbg.image.types import PointerType
from rcdbg.model.values.containers import dig, find_struct, option, pointer_in
from rcdbg.model.values.value import MAX_ELEMENTS, DecodeError, Value


def linked_entries(value: Value) -> Iterator[Value]:
    """The entries of linked_list_r4l's List, front first: a ring through links in the entries.

    Raises DecodeError at a broken link.
    """
    link = option(value["list"]["head"])
    first = previous = None
    count = 0
    while link is not None:
        pointer = pointer_in(link)
        kind, address = pointer.type, pointer.scalar()
        if not isinstance(kind, PointerType) or not address:
            raise DecodeError(value.path, "a link that is no pointer")
        if address == first:
            return
        first = address if first is None else first
        if count == MAX_ELEMENTS:
            raise DecodeError(value.path, f"more than {MAX_ELEMENTS} entries")
        entry = value.at(kind.target, address, f"{value.path}[{count}]")
        links = find_struct(entry, "Links")
        back = option(dig(links, "prev"))
        came_from = None if back is None else pointer_in(back).scalar()
        if previous is not None and came_from != previous:
            why = f"the entry at {address:#x} does not point back to {previous:#x}"
            raise DecodeError(entry.path, why)
        yield entry
        previous, count, link = address, count + 1, option(dig(links, "next"))
