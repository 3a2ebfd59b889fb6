"""The one door for text that we did not write: what a guest prints, names in an ELF, file names.

A terminal obeys what is printed on it: a kernel's last line could set its title, write into its
clipboard (OSC 52), clear it, or turn what follows around.
"""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    """`text` with everything that could move the cursor or hide itself written as an escape.

    For whatever comes from a guest or an ELF: control, format (bidirectional, zero width),
    unassigned and surrogate characters, line and paragraph separators; newlines too.

    >>> safe("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def safe_lines(text: str) -> str:
    """The same for text of several lines: the newlines stay, tabs become spaces.

    >>> safe_lines("a\\tb\\n\\x07c")
    'a   b\\n\\\\x07c'
    """
    if text.isascii() and text.isprintable():
        return text
    return "\n".join(safe(line.expandtabs(4)) for line in text.split("\n"))


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
