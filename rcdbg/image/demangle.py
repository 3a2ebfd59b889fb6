"""Rust symbol names made readable, without the hashes of crates and impl blocks.

Source of the formats: the Rust reference on v0 (RFC 2603, `_R...`), and rustc's legacy scheme
(`_ZN...17h<16 hex digits>E`, an Itanium name with `$..$` escapes). The output is that of
rustc-demangle's alternate form, which c++filt prints too.
"""

from functools import lru_cache

from rcdbg.image.mangling.cursor import NotMangledError
from rcdbg.image.mangling.legacy import legacy_path
from rcdbg.image.mangling.v0 import v0_path


@lru_cache(maxsize=8192)
def demangle(name: str) -> str | None:
    """The Rust path behind a mangled name, or None when it is not a mangled Rust name.

    >>> demangle("_RNvCsfF7cuYrI67T_2os16handle_interrupt")
    'os::handle_interrupt'
    """
    try:
        if name.startswith("_R"):
            return v0_path(name[2:])
        if name.startswith("_ZN"):
            return legacy_path(name)
    except (NotMangledError, IndexError, ValueError):
        # IndexError: the text ends early; ValueError: digits that are none, broken punycode.
        return None
    return None
