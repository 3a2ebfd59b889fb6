"""A mangled name of the v0 scheme as it is read: letters, numbers and names, within bounds."""

import re

_MAX_DEPTH = 200
_MAX_LENGTH = 20_000


class NotMangledError(Exception):
    """The text does not follow the scheme."""


class NameCursor:
    """A place in a name without its `_R`; `at` is the index in `text` of the letter that is next.

    All methods raise NotMangledError or IndexError where the text is not as it should be.
    """

    def __init__(self, text: str) -> None:
        # Whatever follows a dot was appended by LLVM (`.llvm.123`, `.cold`).
        self.text = text.partition(".")[0]
        self.at = 0
        self._depth = 0
        self._written = 0

    def peek(self) -> str:
        """The next letter."""
        return self.text[self.at]

    def next(self) -> str:
        """The next letter, consumed."""
        self.at += 1
        return self.text[self.at - 1]

    def eat(self, letter: str) -> bool:
        """Whether that letter comes next; then it is consumed."""
        if self.text.startswith(letter, self.at):
            self.at += 1
            return True
        return False

    def enter(self) -> None:
        """Begin a production that may contain itself."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NotMangledError

    def leave(self, text: str) -> str:
        """End one with its text."""
        self._depth -= 1
        # Back references can double the text at each level.
        self._written += len(text)
        if self._written > _MAX_LENGTH * _MAX_DEPTH or len(text) > _MAX_LENGTH:
            raise NotMangledError
        return text

    def base62(self) -> int:
        """A number in base 62."""
        value = 0
        if self.eat("_"):
            return 0
        while not self.eat("_"):
            digit = self.next()
            if not digit.isalnum():
                raise NotMangledError
            value = value * 62 + int(digit, 36)
            if digit.isupper():
                value += 26
        return value + 1

    def optional_base62(self, letter: str) -> int:
        """One more than a number behind that letter; 0 without the letter."""
        return self.base62() + 1 if self.eat(letter) else 0

    def identifier(self) -> tuple[str, int]:
        """A name and its disambiguator."""
        disambiguator = self.optional_base62("s")
        is_punycode = self.eat("u")
        digits = self.next()
        if not digits.isdigit():
            raise NotMangledError
        if digits != "0":
            while self.peek().isdigit():
                digits += self.next()
        self.eat("_")
        start, self.at = self.at, self.at + int(digits)
        name = self.text[start : self.at]
        if len(name) != int(digits):
            raise NotMangledError
        if is_punycode:
            head, _, tail = name.rpartition("_")
            name = (f"{head}-{tail}" if head else tail).encode().decode("punycode")
        return name, disambiguator

    def back_reference(self) -> int:
        """Where in the text a production was written out before."""
        start = self.at - 1
        target = self.base62()
        if target >= start:
            raise NotMangledError
        return target

    def hexadecimal(self) -> str:
        """Hexadecimal digits up to an underscore."""
        digits = ""
        while not self.eat("_"):
            digits += self.next()
        if digits and not re.fullmatch(r"[0-9a-f]+", digits):
            raise NotMangledError
        return digits
