"""rustc's v0 scheme: RFC 2603, `_R...`."""

from rcdbg.image.mangling.cursor import NameCursor, NotMangledError

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


def v0_path(text: str) -> str:
    """The path in a name without its `_R`; raises NotMangledError, IndexError or ValueError."""
    return _V0(text).symbol()


class _V0:
    """A recursive-descent reader: each method consumes its production and returns its text."""

    def __init__(self, text: str) -> None:
        self._cursor = NameCursor(text)
        self._bound_lifetimes = 0

    def symbol(self) -> str:
        if self._cursor.text[0].isdigit() or not self._cursor.text.isascii():
            raise NotMangledError
        path = self._path(in_value=True)
        if self._cursor.at < len(self._cursor.text):
            self._path(in_value=False)  # the instantiating crate
        if self._cursor.at != len(self._cursor.text):
            raise NotMangledError
        return path

    def _path(self, in_value: bool) -> str:
        self._cursor.enter()
        kind = self._cursor.next()
        if kind == "C":
            text = self._cursor.identifier()[0]
        elif kind == "N":
            text = self._nested(in_value)
        elif kind in "MXY":
            if kind != "Y":
                self._cursor.optional_base62("s")
                self._path(in_value=False)
            text = f"<{self._type()}"
            if kind != "M":
                text += f" as {self._path(in_value=False)}"
            text += ">"
        elif kind == "I":
            text = self._path(in_value)
            text += ("::<" if in_value else "<") + ", ".join(self._generic_arguments()) + ">"
        elif kind == "B":
            here = self._cursor.back_reference()
            here, self._cursor.at = self._cursor.at, here
            text = self._path(in_value)
            self._cursor.at = here
        else:
            raise NotMangledError
        return self._cursor.leave(text)

    def _nested(self, in_value: bool) -> str:
        namespace = self._cursor.next()
        if not namespace.isalpha():
            raise NotMangledError
        outer = self._path(in_value)
        name, disambiguator = self._cursor.identifier()
        if namespace.isupper():
            kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
            label = f"{kind}:{name}" if name else kind
            return f"{outer}::{{{label}#{disambiguator}}}"
        return f"{outer}::{name}" if name else outer

    def _generic_arguments(self) -> list[str]:
        arguments: list[str] = []
        while not self._cursor.eat("E"):
            if self._cursor.eat("L"):
                arguments.append(self._lifetime())
            elif self._cursor.eat("K"):
                arguments.append(self._constant(in_value=False))
            else:
                arguments.append(self._type())
        return arguments

    def _lifetime(self) -> str:
        index = self._cursor.base62()
        if index == 0:
            return "'_"
        depth = self._bound_lifetimes - index
        if depth < 0:
            raise NotMangledError
        return f"'{chr(ord('a') + depth)}" if depth < 26 else f"'_{depth}"

    def _binder(self) -> str:
        count = self._cursor.optional_base62("G")
        if count > 100:
            raise NotMangledError
        first = self._bound_lifetimes
        self._bound_lifetimes += count
        names = [
            f"'{chr(ord('a') + i)}" if i < 26 else f"'_{i}" for i in range(first, first + count)
        ]
        return f"for<{', '.join(names)}> " if names else ""

    def _type(self) -> str:
        kind = self._cursor.peek()
        if kind in _BASIC_TYPES:
            self._cursor.at += 1
            return _BASIC_TYPES[kind]
        if kind in "CNMXYI":
            return self._path(in_value=False)
        self._cursor.enter()
        self._cursor.at += 1
        if kind in "RQ":
            lifetime = self._lifetime() if self._cursor.eat("L") else ""
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
            while not self._cursor.eat("E"):
                elements.append(self._type())
            text = f"({elements[0]},)" if len(elements) == 1 else f"({', '.join(elements)})"
        elif kind == "F":
            text = self._function()
        elif kind == "D":
            text = self._dynamic()
        elif kind == "B":
            here = self._cursor.back_reference()
            here, self._cursor.at = self._cursor.at, here
            text = self._type()
            self._cursor.at = here
        else:
            raise NotMangledError
        return self._cursor.leave(text)

    def _function(self) -> str:
        outer = self._bound_lifetimes
        text = self._binder()
        if self._cursor.eat("U"):
            text += "unsafe "
        if self._cursor.eat("K"):
            abi = "C" if self._cursor.eat("C") else self._cursor.identifier()[0].replace("_", "-")
            text += f'extern "{abi}" '
        parameters = []
        while not self._cursor.eat("E"):
            parameters.append(self._type())
        text += f"fn({', '.join(parameters)})"
        if not self._cursor.eat("u"):
            text += f" -> {self._type()}"
        self._bound_lifetimes = outer
        return text

    def _dynamic(self) -> str:
        outer = self._bound_lifetimes
        text = "dyn " + self._binder()
        bounds = []
        while not self._cursor.eat("E"):
            bounds.append(self._bound())
        self._bound_lifetimes = outer
        text += " + ".join(bounds)
        if not self._cursor.eat("L"):
            raise NotMangledError
        lifetime = self._lifetime()
        return text if lifetime == "'_" else f"{text} + {lifetime}"

    def _bound(self) -> str:
        path = self._path(in_value=False)
        bindings = []
        while self._cursor.eat("p"):
            name = self._cursor.identifier()[0]
            bindings.append(f"{name} = {self._type()}")
        if not bindings:
            return path
        # Bindings stand inside the trait's own argument list, if it has one.
        if path.endswith(">") and not path.startswith("<"):
            return f"{path[:-1]}, {', '.join(bindings)}>"
        return f"{path}<{', '.join(bindings)}>"

    def _constant(self, in_value: bool) -> str:
        self._cursor.enter()
        kind = self._cursor.next()
        if kind == "p":
            text = "_"
        elif kind == "B":
            here = self._cursor.back_reference()
            here, self._cursor.at = self._cursor.at, here
            text = self._constant(in_value)
            self._cursor.at = here
        elif kind in "hmtyoj" or kind in "alsxni":
            sign = "-" if self._cursor.eat("n") else ""
            text = sign + str(int(self._cursor.hexadecimal() or "0", 16))
        elif kind == "b":
            text = {"0": "false", "1": "true"}.get(self._cursor.hexadecimal(), "?")
        elif kind == "c":
            text = f"'{chr(int(self._cursor.hexadecimal(), 16))}'"
        elif kind in "eRQATV":
            text = self._structured_constant(kind)
            if not in_value:
                text = f"{{{text}}}"
        else:
            raise NotMangledError
        return self._cursor.leave(text)

    def _structured_constant(self, kind: str) -> str:
        if kind == "e":
            return '*"' + bytes.fromhex(self._cursor.hexadecimal()).decode("utf-8", "replace") + '"'
        if kind == "R" and self._cursor.eat("e"):
            return '"' + bytes.fromhex(self._cursor.hexadecimal()).decode("utf-8", "replace") + '"'
        if kind in "RQ":
            return ("&" if kind == "R" else "&mut ") + self._constant(in_value=True)
        if kind == "A":
            return f"[{', '.join(self._constants())}]"
        if kind == "T":
            elements = self._constants()
            return f"({elements[0]},)" if len(elements) == 1 else f"({', '.join(elements)})"
        path = self._path(in_value=True)
        form = self._cursor.next()
        if form == "U":
            return path
        if form == "T":
            return f"{path}({', '.join(self._constants())})"
        if form != "S":
            raise NotMangledError
        fields = []
        while not self._cursor.eat("E"):
            name = self._cursor.identifier()[0]
            fields.append(f"{name}: {self._constant(in_value=True)}")
        return f"{path} {{ {', '.join(fields)} }}"

    def _constants(self) -> list[str]:
        values = []
        while not self._cursor.eat("E"):
            values.append(self._constant(in_value=True))
        return values
