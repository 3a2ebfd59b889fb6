"""rustc's legacy scheme: `_ZN...17h<16 hex digits>E`, an Itanium name with `$..$` escapes."""

import re

from rcdbg.image.mangling.cursor import NotMangledError

_LEGACY_ESCAPES = {
    "SP": "@",
    "BP": "*",
    "RF": "&",
    "LT": "<",
    "GT": ">",
    "LP": "(",
    "RP": ")",
    "C": ",",
}
_LEGACY_HASH = re.compile(r"h[0-9a-f]{16}\Z")


def legacy_path(name: str) -> str:
    """The path in a whole legacy name; raises NotMangledError, IndexError or ValueError."""
    position = 3
    parts: list[str] = []
    while name[position] != "E":
        digits = re.compile(r"\d+").match(name, position)
        if digits is None:
            raise NotMangledError
        end = digits.end() + int(digits[0])
        part = name[digits.end() : end]
        if end >= len(name):
            raise NotMangledError
        parts.append(part)
        position = end
    suffix = name[position + 1 :]
    if (
        len(parts) < 2
        or (suffix and not suffix.startswith("."))
        or not _LEGACY_HASH.match(parts[-1])
    ):
        raise NotMangledError
    return "::".join(_unescape(part) for part in parts[:-1])


def _unescape(part: str) -> str:
    if part.startswith("_$"):
        part = part[1:]

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code in _LEGACY_ESCAPES:
            return _LEGACY_ESCAPES[code]
        if re.fullmatch(r"u[0-9a-f]{1,6}", code):
            return chr(int(code[1:], 16))
        raise NotMangledError

    return re.sub(r"\$(\w+)\$", replace, part).replace("..", "::")
