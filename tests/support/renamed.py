"""The sample kernel with other names for all that rcdbg could know it by, and a profile for it.

Every name is replaced by its rot13: it has the same length, so that strings and frames stay as
many as they were, and the same replacement leads back. Renamed are the names that a description
speaks of, and with them each type, field and static that the kernel's sources declare, and each
other name of several words, so that a name which rcdbg knows beside its descriptions is gone too.
"""

import codecs
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.variants import KERNEL, ROOT, TARGET

LABS = ROOT / "rcdbg" / "kernels" / "families" / "lab.toml"
"""The description of the sample kernel's family."""

NOT_OURS = frozenset({
    "Heap", "idle", "pid", "unmap_one", "birth_time", "service_count", "lab", "sys_",
})  # fmt: skip
"""What the description names and our kernel does not have: libraries' types, parts of names, the
name of a table of ours, alternatives, and the marks of schedulers that are not ours."""

_WORD = re.compile(r"[A-Za-z_]\w*")
_TOKENS = re.compile(r"""//[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|[^/"']+|.""", re.DOTALL)
_DECLARED = re.compile(
    r"\b(?:struct|enum|trait|type|(?<!')static(?: mut)?(?: ref)?|fn|mod|const)\s+(\w+)"
)
_THINGS = re.compile(r"\b(?:struct|enum|trait|(?<!')static(?: mut)?(?: ref)?)\s+(\w+)")
_BODIES = re.compile(r"\b(?:struct|enum)\s+\w+(?:<[^{;(]*>)?[^{;(]*\{(.*?)\n\}", re.DOTALL)
_FIELDS = re.compile(r"(?:^|\n)\s*(?:pub(?:\(\w+\))?\s+)?(\w+)\s*[:,(]")
_SYMBOLS = re.compile(r"#\[no_mangle\](?:\s*#\[[^]]*\])*\s*(?:pub )?extern \"C\" fn (\w+)")
_EXTERN = re.compile(r"extern \"C\" \{(.*?)\n\}", re.DOTALL)
_PARAMETER = re.compile(r"\{\w+\}")
_COMPOUND = re.compile(r"[a-z0-9]_[a-z0-9]|[A-Z0-9]_[A-Z0-9]|[a-z0-9][A-Z]")

_LIBRARIES = frozenset({
    "write_str", "write_usize", "add_assign", "sub_assign", "deref_mut", "try_lock",
    "panic_handler", "finish",
})  # fmt: skip
"""Names that the kernel declares for somebody else: methods of libraries' traits."""

_PLACES: Mapping[str, str] = {
    "alloc": r"\balloc(?=\(&mut self\))|(?<=\.)alloc(?=\(\))",
    "dealloc": r"\bdealloc(?=\(&mut self)|(?<=\.)dealloc(?=\((?:index|frame|self\.0|\w+)\))",
    "sstatus": r"(?<=\.)sstatus\b|\bsstatus(?=: (?:Sstatus|status)\b)",
    "Range": r"(?<!ops::)\bRange\b",
    "start": r"(?<!range\.)\bstart\b|(?<=range\.)start\b(?!\.into)",
    "end": r"(?<!range\.)\bend\b|(?<=range\.)end\b(?!\.into)",
}
"""Where a name is the kernel's, if a library has the same one."""


def other(name: str) -> str:
    """The other name, and back again.

    >>> other("current_thread"), other(other("current_thread"))
    ('pheerag_guernq', 'current_thread')
    """
    return codecs.encode(name, "rot13")


@dataclass(frozen=True)
class Renamed:
    """A kernel under other names."""

    elf: Path
    profile: Path
    """A partial description that tells rcdbg the names."""
    names: frozenset[str]
    """The names that were replaced, as the sample kernel has them."""

    def back(self, text: str) -> str:
        """The text with the names of the sample kernel."""
        return _WORD.sub(lambda m: self._old(m[0]), text)

    def _old(self, word: str) -> str:
        return other(word) if other(word) in self.names else word


def described() -> frozenset[str]:
    """Every name of the description: the words of all its entries but the evidence."""
    found: set[str] = set()
    for table in _tables().values():
        for entry in table.values():
            for text in entry if isinstance(entry, list) else [entry]:
                if isinstance(text, str):
                    found.update(_WORD.findall(text))
    return frozenset(found)


def _tables() -> dict[str, dict[str, Any]]:
    tables = tomllib.loads(LABS.read_text())
    return {k: v for k, v in tables.items() if isinstance(v, dict) and k != "evidence"}


def build(work: Path) -> Renamed:
    """The renamed kernel, with kernel.bin beside it, and its profile."""
    source = work / "source"
    shutil.copytree(KERNEL, source, ignore=shutil.ignore_patterns("target"))
    names = rename(source)
    subprocess.run(
        [source / "build.sh", "build"],
        check=True,
        env={**os.environ, "CARGO_TARGET_DIR": str(work / "target")},
        capture_output=True,
    )
    profile = work / "renamed.toml"
    profile.write_text(profile_text(names))
    return Renamed(work / "target" / TARGET / "debug" / "os", profile, names)


def profile_text(names: Iterable[str]) -> str:
    """The description's entries with the other names: what a user would write in a profile."""
    replaced = frozenset(names)

    def new(entry: object) -> str:
        if isinstance(entry, str):
            return json.dumps(_WORD.sub(lambda m: other(m[0]) if m[0] in replaced else m[0], entry))
        if isinstance(entry, list):
            return f"[{', '.join(new(text) for text in entry)}]"
        return json.dumps(entry)

    lines: list[str] = []
    for concept, table in _tables().items():
        lines += [f"[{concept}]", *(f"{key} = {new(entry)}" for key, entry in table.items()), ""]
    return "\n".join(lines)


def rename(source: Path) -> frozenset[str]:
    """Replace the names in a kernel's sources; returns them. Raises ValueError if one is left."""
    rust = [p for p in source.rglob("*.rs") if "src" in p.parts]
    rest = [p for p in source.rglob("*") if p.suffix in (".asm", ".ld")]
    texts = {path: path.read_text() for path in [*rust, *rest]}
    symbols, declared, things = _declared(texts, rust)
    if missing := described() - declared - NOT_OURS:
        raise ValueError(f"the sample kernel does not have {', '.join(sorted(missing))}")
    beside = things | {name for name in declared - _quoted(texts, rust) if _COMPOUND.search(name)}
    names = (described() - NOT_OURS) | (beside - _LIBRARIES)
    words = {word for text in texts.values() for word in _WORD.findall(text)}
    if clash := {n for n in names if other(n) in words}:
        raise ValueError(f"taken already: {', '.join(sorted(map(other, clash)))}")
    everywhere = _replacer(names & symbols)
    in_code = _replacer(names)
    for path, text in texts.items():
        changed = everywhere(text)
        path.write_text(_outside_strings(changed, in_code) if path in rust else changed)
    _move(rust, names)
    return frozenset(names)


def _declared(
    texts: Mapping[Path, str], rust: Iterable[Path]
) -> tuple[set[str], set[str], set[str]]:
    """The names of symbols, which stand in assembly too; of all that the sources declare; and of
    the types, fields and statics among that."""
    symbols: set[str] = set()
    declared: set[str] = set()
    things: set[str] = set()
    for path in rust:
        text, code = texts[path], "".join(_code(texts[path]))
        symbols |= {*_SYMBOLS.findall(text)}
        for body in _EXTERN.findall(text):
            symbols |= {*_DECLARED.findall(body)}
        declared |= {*_DECLARED.findall(code)}
        things |= {*_THINGS.findall(code)}
        for body in _BODIES.findall(code):
            things |= {*_FIELDS.findall(body)}
    return symbols, declared | symbols | things, things


def _quoted(texts: Mapping[Path, str], rust: Iterable[Path]) -> set[str]:
    """The words in assembly, linker scripts and strings: to rename those takes more than this."""
    found = {w for p, text in texts.items() if p not in rust for w in _WORD.findall(text)}
    for path in rust:
        for token in _TOKENS.findall(texts[path]):
            if token.startswith('"'):
                found |= {*_WORD.findall(token)}
    return found


def _code(text: str) -> Iterable[str]:
    return (t for t in _TOKENS.findall(text) if not t.startswith(("//", '"')))


def _replacer(names: Iterable[str]) -> Any:
    plain = [re.escape(name) for name in sorted(names) if name not in _PLACES]
    special = [pattern for name, pattern in _PLACES.items() if name in names]
    if not (plain or special):
        return lambda text: text
    pattern = re.compile("|".join([rf"\b(?:{'|'.join(plain)})\b"] * bool(plain) + special))
    return lambda text: pattern.sub(lambda m: other(m[0]), text)


def _outside_strings(text: str, replace: Any) -> str:
    """The text with all replaced but comments and strings; of those what stands in {} alone."""
    return "".join(
        _PARAMETER.sub(lambda m: replace(m[0]), token)
        if token.startswith(("//", '"'))
        else replace(token)
        for token in _TOKENS.findall(text)
    )


def _move(rust: Iterable[Path], names: Iterable[str]) -> None:
    """A module's file, or its folder, has its name."""
    for path in rust:
        if path.stem in names:
            path.rename(path.with_name(f"{other(path.stem)}.rs"))
    folders = {path.parent for path in rust if path.parent.name in names}
    for folder in sorted(folders, key=lambda p: -len(p.parts)):
        folder.rename(folder.with_name(other(folder.name)))
