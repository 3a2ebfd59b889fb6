"""Rust symbol names made readable, without the hashes of crates and impl blocks.

Source of the formats: the Rust reference on v0 (RFC 2603, `_R...`), and rustc's legacy scheme
(`_ZN...17h<16 hex digits>E`, an Itanium name with `$..$` escapes). The output is that of
rustc-demangle's alternate form, which c++filt prints too.
"""

import re
from functools import lru_cache

_MAX_DEPTH = 200
_MAX_LENGTH = 20_000

_BASIC_TYPES = {
    "a": "i8",
    "b": "bool",
    "c": "char",
    "d": "f64",
    "e": "str",
    "f": "f32",
    "h": "u8",
    "i": "isize",
    "j": "usize",
    "l": "i32",
    "m": "u32",
    "n": "i128",
    "o": "u128",
    "p": "_",
    "s": "i16",
    "t": "u16",
    "u": "()",
    "v": "...",
    "x": "i64",
    "y": "u64",
    "z": "!",
}

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


class _NotMangledError(Exception):
    """The text does not follow the scheme."""


@lru_cache(maxsize=8192)
def demangle(name: str) -> str | None:
    """The Rust path behind a mangled name, or None when it is not a mangled Rust name.

    >>> demangle("_RNvCsfF7cuYrI67T_2os16handle_interrupt")
    'os::handle_interrupt'
    """
    try:
        if name.startswith("_R"):
            return _V0(name[2:]).symbol()
        if name.startswith("_ZN"):
            return _legacy(name)
    except (_NotMangledError, IndexError, ValueError):
        # IndexError: the text ends early; ValueError: digits that are none, broken punycode.
        return None
    return None


def _legacy(name: str) -> str:
    position = 3
    parts: list[str] = []
    while name[position] != "E":
        digits = re.compile(r"\d+").match(name, position)
        if digits is None:
            raise _NotMangledError
        end = digits.end() + int(digits[0])
        part = name[digits.end() : end]
        if end >= len(name):
            raise _NotMangledError
        parts.append(part)
        position = end
    suffix = name[position + 1 :]
    if (
        len(parts) < 2
        or (suffix and not suffix.startswith("."))
        or not _LEGACY_HASH.match(parts[-1])
    ):
        raise _NotMangledError
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
        raise _NotMangledError

    return re.sub(r"\$(\w+)\$", replace, part).replace("..", "::")


class _V0:
    """A recursive-descent reader: each method consumes its production and returns its text."""

    def __init__(self, text: str) -> None:
        # Whatever follows a dot was appended by LLVM (`.llvm.123`, `.cold`).
        self._text = text.partition(".")[0]
        self._at = 0
        self._depth = 0
        self._bound_lifetimes = 0
        self._written = 0

    def symbol(self) -> str:
        if self._text[0].isdigit() or not self._text.isascii():
            raise _NotMangledError
        path = self._path(in_value=True)
        if self._at < len(self._text):
            self._path(in_value=False)  # the instantiating crate
        if self._at != len(self._text):
            raise _NotMangledError
        return path

    def _peek(self) -> str:
        return self._text[self._at]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _eat(self, letter: str) -> bool:
        if self._text.startswith(letter, self._at):
            self._at += 1
            return True
        return False

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NotMangledError

    def _leave(self, text: str) -> str:
        self._depth -= 1
        # Back references can double the text at each level.
        self._written += len(text)
        if self._written > _MAX_LENGTH * _MAX_DEPTH or len(text) > _MAX_LENGTH:
            raise _NotMangledError
        return text

    def _base62(self) -> int:
        value = 0
        if self._eat("_"):
            return 0
        while not self._eat("_"):
            digit = self._next()
            if not digit.isalnum():
                raise _NotMangledError
            value = value * 62 + int(digit, 36)
            if digit.isupper():
                value += 26
        return value + 1

    def _optional_base62(self, letter: str) -> int:
        return self._base62() + 1 if self._eat(letter) else 0

    def _identifier(self) -> tuple[str, int]:
        disambiguator = self._optional_base62("s")
        is_punycode = self._eat("u")
        digits = self._next()
        if not digits.isdigit():
            raise _NotMangledError
        if digits != "0":
            while self._peek().isdigit():
                digits += self._next()
        self._eat("_")
        start, self._at = self._at, self._at + int(digits)
        name = self._text[start : self._at]
        if len(name) != int(digits):
            raise _NotMangledError
        if is_punycode:
            head, _, tail = name.rpartition("_")
            name = (f"{head}-{tail}" if head else tail).encode().decode("punycode")
        return name, disambiguator

    def _back_reference(self) -> int:
        start = self._at - 1
        target = self._base62()
        if target >= start:
            raise _NotMangledError
        return target

    def _path(self, in_value: bool) -> str:
        self._enter()
        kind = self._next()
        if kind == "C":
            text = self._identifier()[0]
        elif kind == "N":
            text = self._nested(in_value)
        elif kind in "MXY":
            if kind != "Y":
                self._optional_base62("s")
                self._path(in_value=False)
            text = f"<{self._type()}"
            if kind != "M":
                text += f" as {self._path(in_value=False)}"
            text += ">"
        elif kind == "I":
            text = self._path(in_value)
            text += ("::<" if in_value else "<") + ", ".join(self._generic_arguments()) + ">"
        elif kind == "B":
            here = self._back_reference()
            here, self._at = self._at, here
            text = self._path(in_value)
            self._at = here
        else:
            raise _NotMangledError
        return self._leave(text)

    def _nested(self, in_value: bool) -> str:
        namespace = self._next()
        if not namespace.isalpha():
            raise _NotMangledError
        outer = self._path(in_value)
        name, disambiguator = self._identifier()
        if namespace.isupper():
            kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
            label = f"{kind}:{name}" if name else kind
            return f"{outer}::{{{label}#{disambiguator}}}"
        return f"{outer}::{name}" if name else outer

    def _generic_arguments(self) -> list[str]:
        arguments: list[str] = []
        while not self._eat("E"):
            if self._eat("L"):
                arguments.append(self._lifetime())
            elif self._eat("K"):
                arguments.append(self._constant(in_value=False))
            else:
                arguments.append(self._type())
        return arguments

    def _lifetime(self) -> str:
        index = self._base62()
        if index == 0:
            return "'_"
        depth = self._bound_lifetimes - index
        if depth < 0:
            raise _NotMangledError
        return f"'{chr(ord('a') + depth)}" if depth < 26 else f"'_{depth}"

    def _binder(self) -> str:
        count = self._optional_base62("G")
        if count > 100:
            raise _NotMangledError
        first = self._bound_lifetimes
        self._bound_lifetimes += count
        names = [
            f"'{chr(ord('a') + i)}" if i < 26 else f"'_{i}" for i in range(first, first + count)
        ]
        return f"for<{', '.join(names)}> " if names else ""

    def _type(self) -> str:
        kind = self._peek()
        if kind in _BASIC_TYPES:
            self._at += 1
            return _BASIC_TYPES[kind]
        if kind in "CNMXYI":
            return self._path(in_value=False)
        self._enter()
        self._at += 1
        if kind in "RQ":
            lifetime = self._lifetime() if self._eat("L") else ""
            prefix = f"&{lifetime} " if lifetime not in ("", "'_") else "&"
            text = prefix + ("mut " if kind == "Q" else "") + self._type()
        elif kind in "PO":
            text = ("*const " if kind == "P" else "*mut ") + self._type()
        elif kind == "A":
            text = f"[{self._type()}; {self._constant(in_value=True)}]"
        elif kind == "S":
            text = f"[{self._type()}]"
        elif kind == "T":
            elements = []
            while not self._eat("E"):
                elements.append(self._type())
            text = f"({elements[0]},)" if len(elements) == 1 else f"({', '.join(elements)})"
        elif kind == "F":
            text = self._function()
        elif kind == "D":
            text = self._dynamic()
        elif kind == "B":
            here = self._back_reference()
            here, self._at = self._at, here
            text = self._type()
            self._at = here
        else:
            raise _NotMangledError
        return self._leave(text)

    def _function(self) -> str:
        outer = self._bound_lifetimes
        text = self._binder()
        if self._eat("U"):
            text += "unsafe "
        if self._eat("K"):
            abi = "C" if self._eat("C") else self._identifier()[0].replace("_", "-")
            text += f'extern "{abi}" '
        parameters = []
        while not self._eat("E"):
            parameters.append(self._type())
        text += f"fn({', '.join(parameters)})"
        if not self._eat("u"):
            text += f" -> {self._type()}"
        self._bound_lifetimes = outer
        return text

    def _dynamic(self) -> str:
        outer = self._bound_lifetimes
        text = "dyn " + self._binder()
        bounds = []
        while not self._eat("E"):
            bounds.append(self._bound())
        self._bound_lifetimes = outer
        text += " + ".join(bounds)
        if not self._eat("L"):
            raise _NotMangledError
        lifetime = self._lifetime()
        return text if lifetime == "'_" else f"{text} + {lifetime}"

    def _bound(self) -> str:
        path = self._path(in_value=False)
        bindings = []
        while self._eat("p"):
            name = self._identifier()[0]
            bindings.append(f"{name} = {self._type()}")
        if not bindings:
            return path
        # Bindings stand inside the trait's own argument list, if it has one.
        if path.endswith(">") and not path.startswith("<"):
            return f"{path[:-1]}, {', '.join(bindings)}>"
        return f"{path}<{', '.join(bindings)}>"

    def _constant(self, in_value: bool) -> str:
        self._enter()
        kind = self._next()
        if kind == "p":
            text = "_"
        elif kind == "B":
            here = self._back_reference()
            here, self._at = self._at, here
            text = self._constant(in_value)
            self._at = here
        elif kind in "hmtyoj" or kind in "alsxni":
            sign = "-" if self._eat("n") else ""
            text = sign + str(int(self._hexadecimal() or "0", 16))
        elif kind == "b":
            text = {"0": "false", "1": "true"}.get(self._hexadecimal(), "?")
        elif kind == "c":
            text = f"'{chr(int(self._hexadecimal(), 16))}'"
        elif kind in "eRQATV":
            text = self._structured_constant(kind)
            if not in_value:
                text = f"{{{text}}}"
        else:
            raise _NotMangledError
        return self._leave(text)

    def _hexadecimal(self) -> str:
        digits = ""
        while not self._eat("_"):
            digits += self._next()
        if digits and not re.fullmatch(r"[0-9a-f]+", digits):
            raise _NotMangledError
        return digits

    def _structured_constant(self, kind: str) -> str:
        if kind == "e":
            return '*"' + bytes.fromhex(self._hexadecimal()).decode("utf-8", "replace") + '"'
        if kind == "R" and self._eat("e"):
            return '"' + bytes.fromhex(self._hexadecimal()).decode("utf-8", "replace") + '"'
        if kind in "RQ":
            return ("&" if kind == "R" else "&mut ") + self._constant(in_value=True)
        if kind == "A":
            return f"[{', '.join(self._constants())}]"
        if kind == "T":
            elements = self._constants()
            return f"({elements[0]},)" if len(elements) == 1 else f"({', '.join(elements)})"
        path = self._path(in_value=True)
        form = self._next()
        if form == "U":
            return path
        if form == "T":
            return f"{path}({', '.join(self._constants())})"
        if form != "S":
            raise _NotMangledError
        fields = []
        while not self._eat("E"):
            name = self._identifier()[0]
            fields.append(f"{name}: {self._constant(in_value=True)}")
        return f"{path} {{ {', '.join(fields)} }}"

    def _constants(self) -> list[str]:
        values = []
        while not self._eat("E"):
            values.append(self._constant(in_value=True))
        return values
