"""The texts behind the codes: what a fault is, how it comes about, how to look for it."""

from collections.abc import Iterator
from importlib.resources import files

from rcdbg.doctor.table import CODES
from rcdbg.errors import UsageError


def explanation(code: str) -> str:
    """What a fault of that code is; raises UsageError for a code that no rule has."""
    wanted = code.upper()
    if wanted not in CODES:
        raise UsageError(f"there is no {code}: `rcdbg explain` lists the codes")
    text = files("rcdbg.doctor").joinpath("explain", f"{wanted}.md").read_text("utf-8")
    return text.rstrip("\n")


def titles() -> Iterator[tuple[str, str]]:
    """Every code with the first line of its text."""
    for code in CODES:
        yield code, explanation(code).split("\n", 1)[0].removeprefix("# ").removeprefix(f"{code}: ")
