"""A Described as JSON, in the manner of `serial`; documented in docs/decoders/descriptions.md."""

from rcdbg.kernels.recognise import Fit
from rcdbg.model.described.described import Described, DescribedEntry, FoundName
from rcdbg.model.serial.state import Json, problems


def described(found: Described) -> Json:
    """What a kernel was taken for, and what its ELF has of the description."""
    return {
        "file": str(found.file),
        "profile": None if found.profile is None else str(found.profile),
        "family": found.family,
        "title": found.title,
        "why": found.why,
        "families": [_fit(fit) for fit in found.fits],
        "concepts": {
            concept.name: {entry.key: _entry(entry) for entry in concept.entries}
            for concept in found.concepts
        },
        "unsaid": list(found.unsaid),
        "found": found.found,
        "missing": found.missing,
        "problems": problems(found.problems),
    }


def _fit(fit: Fit) -> Json:
    return {
        "family": fit.family,
        "title": fit.title,
        "fits": fit.fits,
        "found": list(fit.found),
        "missing": list(fit.missing),
        "enough": fit.enough,
    }


def _entry(entry: DescribedEntry) -> Json:
    return {
        "asked": list(entry.asked),
        "found": [_found(found) for found in entry.found],
        "is_setting": entry.is_setting,
        "why": entry.why or None,
        "near": [{"text": near.text, "what": near.what} for near in entry.near],
    }


def _found(found: FoundName) -> Json:
    return {
        "asked": found.asked,
        "kind": found.kind,
        "path": found.path,
        "type": found.type,
        "address": None if found.address is None else f"{found.address:#x}",
        "offset": found.offset,
        "holder": found.holder,
    }
