"""The guest's output as lines: its colours are kept, everything else it could do is taken away."""

import re

from rich.ansi import AnsiDecoder
from rich.text import Text

from rcdbg.escape import safe

_ESCAPE = re.compile(
    r"\x1b\[[0-9;:?]*[ -/]*(?P<final>[@-~])"  # control sequences: only `m`, colours, is kept
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands, such as titles and links
    r"|\x1b[ -/]*[0-~]"
)
_INCOMPLETE = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*|\][^\x07\x1b]*)?\Z")
_LONGEST_ESCAPE = 64
_TAB_WIDTH = 8
_MAX_LINE = 2000
"""A guest that never ends its line must not make every new piece slower than the last."""


class GuestText:
    """Turns pieces of output into lines."""

    def __init__(self) -> None:
        self._open = ""
        self._rest = ""

    def feed(self, text: str) -> list[Text]:
        """The lines as `text` leaves them.

        The first continues the last one that was given, and replaces it; the last may still grow.
        """
        text = self._rest + text
        self._rest = ""
        if incomplete := _INCOMPLETE.search(text):
            self._rest = incomplete[0][:_LONGEST_ESCAPE]
            text = text[: incomplete.start()]
        text = _ESCAPE.sub(lambda match: match[0] if match["final"] == "m" else "", text)
        lines = (self._open + text).split("\n")
        pieces = [piece for line in lines for piece in _chopped(line)]
        self._open = pieces[-1]
        return [_line(piece) for piece in pieces]


def _line(text: str) -> Text:
    # Over its own line again: what stands there in the end is what counts.
    text = text.rstrip("\r").rpartition("\r")[2].expandtabs(_TAB_WIDTH)
    decoded = AnsiDecoder().decode_line(text) if "\x1b" in text else Text(text)
    if not decoded.plain or decoded.plain.isprintable():
        return decoded
    # The styles' offsets would move with every escape: rather no colours than wrong ones.
    return Text(safe(decoded.plain))


def _chopped(line: str) -> list[str]:
    return [line[i : i + _MAX_LINE] for i in range(0, len(line), _MAX_LINE)] or [""]
