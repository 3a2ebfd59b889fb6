"""The sample kernel is read from the bottom up: what a module uses stands below it."""

import re
from pathlib import Path

import pytest

from tests.support.variants import KERNEL

SOURCES = KERNEL / "os" / "src"

ORDER = ("config", "mask", "lock", "sbi", "console", "panic", "boot", "memory", "interrupt",
         "process", "syscall", "dump", "handler", "scenarios", "main")  # fmt: skip
"""The top-level modules as kernel/README.md tells them, each above all that it uses."""

_TOKENS = re.compile(r"""//[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|.""", re.DOTALL)
"""Comments and strings are one token each, so that what they mention is no use."""


def code(text: str) -> str:
    """Rust without its line comments, nor what strings say."""
    return "".join(token for token in _TOKENS.findall(text) if not token.startswith(("//", '"')))


def used(text: str) -> set[str]:
    """The top-level modules that a source file names: `crate::a`, `crate::{a, b::c}`, println!."""
    text = code(text)
    found = set(re.findall(r"\bcrate::(\w+)", text))
    for group in re.findall(r"\bcrate::\{(.*?)\};", text, re.DOTALL):
        while "{" in group:
            group = re.sub(r"\{[^{}]*\}", "", group)  # noqa: PLW2901
        found.update(part.strip().split("::")[0] for part in group.split(",") if part.strip())
    if re.search(r"\bprint(ln)?!", text):
        found.add("console")
    return found


def top_level(path: Path) -> str:
    """The module of the crate's root that a file belongs to."""
    return path.relative_to(SOURCES).parts[0].removesuffix(".rs")


def uses() -> dict[str, set[str]]:
    """For each top-level module, the others that it uses."""
    found: dict[str, set[str]] = {}
    for path in SOURCES.rglob("*.rs"):
        module, text = top_level(path), path.read_text()
        names = used(text)
        if module == "main":
            names |= set(re.findall(r"\b(\w+)::", code(text))) & set(ORDER)
        found.setdefault(module, set()).update(names - {module})
    return found


USES = uses()


def test_the_order_names_every_module() -> None:
    declared = re.findall(r"^mod (\w+);", (SOURCES / "main.rs").read_text(), re.MULTILINE)
    assert sorted([*declared, "main"]) == sorted(ORDER) == sorted(USES)
    unknown = {name for names in USES.values() for name in names} - set(ORDER)
    assert not unknown, f"used, but no module of the kernel: {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("module", ORDER)
def test_a_module_uses_only_what_is_below_it(module: str) -> None:
    below = ORDER[: ORDER.index(module)]
    above = sorted(USES[module] - set(below))
    assert not above, f"{module} knows {', '.join(above)}, which a reader has not met yet"


def test_the_uses_are_seen() -> None:
    assert {"memory", "interrupt", "mask"} <= USES["process"]
    assert "process" in USES["scenarios"]
    assert "scenarios" in USES["main"]
    assert used("use crate::{dump, a::{b, c}, sbi};\ncrate::x::y()") == {"dump", "a", "sbi", "x"}
    assert used('// use crate::a;\nlet s = "crate::b";\nprintln!("{}", 1);') == {"console"}
