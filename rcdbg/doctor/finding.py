"""What a rule of the doctor says: a fault, with the facts that show it and what to do about it."""

import re
from dataclasses import dataclass
from enum import Enum

from rcdbg.model.state import Place


class Severity(Enum):
    """How bad it is: what breaks a kernel, what may, what is only worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Confidence(Enum):
    """How sure the rule is that it is a fault, and this one."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was seen, and the command that shows it."""

    text: str
    place: Place | None = None
    command: str = ""
    """Of rcdbg, without its first word: `show frames`; "" where no command shows it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that a rule found."""

    code: str
    """Of the class of faults, the same for ever: `RC0101`."""
    severity: Severity
    confidence: Confidence
    title: str
    """One sentence that a student can act on."""
    evidence: tuple[Fact, ...]
    """Never empty: there is no claim without it."""
    bucket: str
    """The same for the same fault in another build or run; made by `bucket_of`."""
    place: Place | None = None
    """Where the fault is, which is not where its handler is."""
    cause: str = ""
    help: str = ""
    may_be_wrong_when: str = ""
    first_seen: int | None = None
    """The position, in the recorded events, of the first one that shows it."""
    because_of: tuple[str, ...] = ()
    """Codes of faults that this one follows from, where they are found too."""

    @property
    def is_grave(self) -> bool:
        """Whether nobody needs to look further: a certain error."""
        return self.severity is Severity.ERROR and self.confidence is Confidence.CERTAIN


_ADDRESS = re.compile(r"0x[0-9a-f]+")
_NOT_A_WORD = re.compile(r"[^\w.:<>-]+")


def bucket_of(code: str, *what: object) -> str:
    """An id of the code and of what tells such faults apart, addresses left out.

    >>> bucket_of("RC0601", "trap_handler+0x1c", None, "heap")
    'RC0601/trap_handler/heap'
    """
    parts = [code]
    for word in what:
        text = _ADDRESS.sub("", "" if word is None else str(word))
        text = _NOT_A_WORD.sub("-", text).strip("-+")
        parts += [text] if text else []
    return "/".join(parts)
