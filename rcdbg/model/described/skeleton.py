"""A file for `--profile` to fill in: every key that was not found, with what comes nearest."""

import json
from collections.abc import Iterator

from rcdbg.kernels.description import UNKNOWN
from rcdbg.model.described.described import Described, DescribedEntry


def skeleton(described: Described) -> str:
    """The file as TOML; all of it is commented, so that as it is it says nothing."""
    return "\n".join(_lines(described)) + "\n"


def _lines(described: Described) -> Iterator[str]:
    yield f"# Names of {_plain(described.file.name)} that rcdbg did not find, for --profile."
    yield f"# It was taken for {_plain(described.title)} ({described.family}): {described.why}."
    yield "# Take the # from a line that is right, or correct it; a table needs its [line] too."
    yield "# docs/decoders/descriptions.md says what each key means."
    if described.profile is not None:
        yield f"# What {_plain(str(described.profile))} says is needed beside it."
    if described.family == "unknown":
        families = " or ".join(json.dumps(fit.family) for fit in described.fits)
        yield f"# All keys are here. To begin with those of a family: family = {families}"
    for concept in described.concepts:
        missing = [entry for entry in concept.entries if entry.is_missing]
        if missing:
            yield from ("", f"[{concept.name}]")
            for entry in missing:
                is_bool = isinstance(getattr(getattr(UNKNOWN, concept.name), entry.key), bool)
                yield from _entry(entry, "true" if is_bool else '""')


def _entry(entry: DescribedEntry, example: str) -> Iterator[str]:
    """Lines for a key; `example` is a value where nothing is near."""
    if entry.asked:
        yield f"# {entry.key}: asked for {_plain(', '.join(entry.asked))}; {_plain(entry.why)}"
    for near in entry.near:
        yield f"# {entry.key} = {json.dumps(near.text)}  # {_plain(near.what)}"
    if not entry.near:
        yield f"# {entry.key} = {example}"


def _plain(text: str) -> str:
    """Text that ends no comment: what a name of an ELF may be is anybody's choice."""
    return "".join(c if c.isprintable() else "?" for c in text)
