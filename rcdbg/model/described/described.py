"""What a description asks an ELF for, and what the ELF has; plain data."""

from dataclasses import dataclass
from pathlib import Path

from rcdbg.kernels.recognise import Fit
from rcdbg.model.state import Problem


@dataclass(frozen=True, slots=True)
class FoundName:
    """One thing that a description names, in the ELF."""

    asked: str
    """The alternative that it is, as the description writes it."""
    kind: str
    """`type`, `static`, `local`, `field`, `symbol`, `function` or `variant`."""
    path: str
    """Its full path; of a field that of the type, and the way from there."""
    type: str | None = None
    """The type that it has, without the wrappers around it."""
    address: int | None = None
    offset: int | None = None
    """Bytes from where the value of the concept begins, where types alone tell."""
    holder: str | None = None
    """The static that holds it, at `address`, where the description means that."""


@dataclass(frozen=True, slots=True)
class NearName:
    """What might be meant: as a description would write it, and what that is in the ELF."""

    text: str
    what: str


@dataclass(frozen=True, slots=True)
class DescribedEntry:
    """One key of a description, and what became of it."""

    key: str
    asked: tuple[str, ...]
    """The alternatives; empty if the description says nothing of it."""
    found: tuple[FoundName, ...] = ()
    """Those that the kernel has and that count."""
    is_setting: bool = False
    """Whether it says something itself, and asks for nothing."""
    why: str = ""
    """Why nothing was found, in words."""
    near: tuple[NearName, ...] = ()
    """What comes nearest to what is missing."""

    @property
    def is_missing(self) -> bool:
        """Whether it was asked for, or could be, and nothing was found."""
        return not self.found and not self.is_setting


@dataclass(frozen=True, slots=True)
class DescribedConcept:
    """One table of a description."""

    name: str
    entries: tuple[DescribedEntry, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """What a kernel was taken for, and all that its description asks its ELF for."""

    file: Path
    profile: Path | None
    """The user's own names, if there are any."""
    family: str
    title: str
    why: str
    """By what it was recognised, in words."""
    fits: tuple[Fit, ...]
    """All families that were tried, the best first."""
    concepts: tuple[DescribedConcept, ...]
    """Those of which the description says something."""
    unsaid: tuple[str, ...]
    """The other concepts."""
    problems: tuple[Problem, ...] = ()

    @property
    def missing(self) -> int:
        """How many keys that were asked for were not found."""
        return sum(e.is_missing and bool(e.asked) for c in self.concepts for e in c.entries)

    @property
    def found(self) -> int:
        """How many keys were found."""
        return sum(bool(e.found) for c in self.concepts for e in c.entries)
