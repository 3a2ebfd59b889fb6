"""`read_described`: a kernel's ELF against the description that fits it; no machine is needed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rcdbg.image.elf import Image
from rcdbg.kernels.description import Description
from rcdbg.kernels.reading import NOTHING, Overlay
from rcdbg.kernels.recognise import families, recognise
from rcdbg.model.described.described import (
    Described,
    DescribedConcept,
    DescribedEntry,
    FoundName,
    NearName,
)
from rcdbg.model.described.finding import asked_texts, concepts, keys, look_up
from rcdbg.model.described.nearest import nearest
from rcdbg.model.described.origins import Elf, elf_of
from rcdbg.model.state import Problem

_MOST = 3
_ITSELF = "."
"""A path that every value has: that it is there says nothing."""


def read_described(image: Image, overlay: Overlay = NOTHING) -> Described:
    """What the kernel is taken for, and each thing that its description asks the ELF for.

    Raises UsageError if the overlay names a family that there is not.
    """
    recognition = recognise(image, overlay)
    description = recognition.description
    elf = elf_of(image, description)
    found, unsaid = [], []
    is_known = any(asked_texts(e) for c in concepts() for e in _entries(elf, c))
    for concept in concepts():
        said = any(asked_texts(entry) for entry in _entries(elf, concept))
        if said or not is_known:
            entries = tuple(_looked_up(elf, concept, guess=not is_known))
            found.append(DescribedConcept(concept, entries))
        else:
            unsaid.append(concept)
    return Described(
        image.path,
        overlay.file,
        description.family,
        description.title,
        recognition.why,
        recognition.fits,
        tuple(found),
        tuple(unsaid),
        (Problem(image.path.name, elf.damage),) if elf.damage else (),
    )


def _entries(elf: Elf, concept: str) -> list[object]:
    return [getattr(getattr(elf.description, concept), key) for key in keys(concept)]


def _looked_up(elf: Elf, concept: str, *, guess: bool) -> Iterator[DescribedEntry]:
    """The entries of a concept; those that nothing is said of only where all is to be guessed."""
    for key in keys(concept):
        entry = look_up(elf, concept, key)
        if entry.asked and not entry.is_missing:
            yield entry
        elif entry.asked:
            # A profile may have replaced what the family says.
            own = [family for family in families() if family.family == elf.description.family]
            others = [family for family in families() if family not in own]
            near = (
                *_of_families(elf, concept, key, own),
                *nearest(elf, concept, key),
                *_of_families(elf, concept, key, others),
            )
            yield replace(entry, near=_distinct(near))
        elif guess:
            near = (
                *_of_families(elf, concept, key, families()),
                *_near_others(elf, concept, key),
            )
            yield replace(entry, why="nobody has said it", near=_distinct(near))


def _distinct(near: tuple[NearName, ...]) -> tuple[NearName, ...]:
    by_text = {name.text: name for name in reversed(near)}
    return tuple(dict.fromkeys(by_text[name.text] for name in near))[:_MOST]


def _of_families(
    elf: Elf, concept: str, key: str, those: Iterable[Description]
) -> Iterator[NearName]:
    """What is called as in one of these families.

    Of the kernel's own concepts if it has any, else of those as that family has them.
    """
    own = getattr(elf.description, concept)
    for other in those:
        theirs = getattr(other, concept)
        mixed = replace(own, **{key: getattr(theirs, key)})
        known = theirs if not any(asked_texts(e) for e in _entries(elf, concept)) else mixed
        described = replace(other if known is theirs else elf.description, **{concept: known})
        for found in look_up(elf.of(described), concept, key).found:
            if found.asked != _ITSELF:
                yield NearName(found.asked, _in_words(found, other.family))


def _near_others(elf: Elf, concept: str, key: str) -> Iterator[NearName]:
    """What is called nearly as in one of the families."""
    for other in families():
        yield from nearest(elf.of(other), concept, key)


def _in_words(found: FoundName, family: str) -> str:
    at = "" if found.address is None else f" at {found.address:#x}"
    return f"{found.kind} {found.path}{at}, as in {family}"
