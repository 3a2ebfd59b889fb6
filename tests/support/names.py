"""Names of functions as different tools write them."""

import re

_ARGUMENTS = re.compile(r"(::)?<[^<>]*>")


def last_part(name: str) -> str:
    """A function's own name, without path and generic arguments; a closure's is `{closure}`.

    >>> last_part("core::iter::range::{impl#5}::spec_next<core::option::Option<i32>>")
    'spec_next'
    >>> last_part("<os::process::Thread as core::ops::Drop>::drop")
    'drop'
    """
    name = name.replace("->", "")
    while (shorter := _ARGUMENTS.sub("", name)) != name:
        name = shorter
    last = name.rsplit("::", 1)[-1]
    return "{closure}" if last.startswith(("{closure", "{{closure")) else last
