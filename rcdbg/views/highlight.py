"""Rust source and assembly in colour: enough to read by, without a parser."""

import re
from typing import Final

from rich.style import Style
from rich.text import Text

from rcdbg.escape import safe
from rcdbg.views import palette

_KEYWORDS = (
    "as|async|await|break|const|continue|crate|dyn|else|enum|extern|false|fn|for|if|impl|in|let|"
    "loop|match|mod|move|mut|pub|ref|return|self|Self|static|struct|super|trait|true|type|unsafe|"
    "use|where|while"
)
_RUST = re.compile(
    r"(?P<comment>//.*)"
    r'|(?P<string>b?"(?:\\.|[^"\\])*"?|b?\'(?:\\.|[^\'\\])\')'
    r"|(?P<attribute>#!?\[[^\]]*\]?)"
    r"|(?P<lifetime>'[a-z_]\w*)"
    rf"|(?P<keyword>\b(?:{_KEYWORDS})\b)"
    r"|(?P<number>\b(?:0x[0-9a-fA-F_]+|0b[01_]+|\d[\d_]*)\w*)"
    r"|(?P<macro>\b[a-z_]\w*!(?!=))"
    r"|(?P<type>\b[A-Z]\w*)"
)
_ASSEMBLY = re.compile(
    r"(?P<comment>#.*|//.*|<[^>]*>)"
    r"|(?P<type>^\s*[a-z][\w.]*)"
    r"|(?P<number>(?<!\w)-?(?:0x[0-9a-fA-F]+|\d+)\b)"
)
STYLES: Final[dict[str, Style]] = {
    "comment": palette.QUIET,
    "string": palette.GOOD,
    "attribute": palette.QUIET,
    "lifetime": palette.WRITABLE,
    "keyword": Style(color="magenta"),
    "number": palette.WRITABLE,
    "macro": palette.SOURCE,
    "type": palette.LABEL,
}

TAB_WIDTH = 4
_ASSEMBLY_SUFFIXES = (".asm", ".S", ".s")


def source_line(text: str, path: str) -> Text:
    """One line of the file at `path`, in the colours of its language."""
    return _painted(text, _ASSEMBLY if path.endswith(_ASSEMBLY_SUFFIXES) else _RUST)


def instruction(text: str) -> Text:
    """One disassembled instruction."""
    return _painted(text, _ASSEMBLY)


def _painted(text: str, grammar: re.Pattern[str]) -> Text:
    line = Text(safe(text.expandtabs(TAB_WIDTH)))
    for match in grammar.finditer(line.plain):
        if match.lastgroup is not None:
            line.stylize(STYLES[match.lastgroup], match.start(), match.end())
    return line
