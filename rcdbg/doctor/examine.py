"""The doctor: every rule asked about one moment, and what they found in the order to read it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rcdbg.doctor.examination import Examination, UndecidedError
from rcdbg.doctor.finding import Confidence, Finding, Severity
from rcdbg.doctor.looks import Looks
from rcdbg.doctor.needs import unmet
from rcdbg.doctor.table import CHECKS, FOLLOWS, Check
from rcdbg.lazy import named
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.value import DecodeError
from rcdbg.trace.record import TraceEvent

MAX_OF_A_CODE = 8
"""Findings of one rule that are told of."""

_RULES = "rcdbg.doctor.rules."
_GRAVITY = tuple(Severity)
_CERTAINTY = tuple(Confidence)


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A rule that could not say whether all is well."""

    check: Check
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong, the first to look at first; and what was looked at."""

    findings: tuple[Finding, ...]
    checked: tuple[Check, ...]
    not_checked: tuple[NotChecked, ...]

    @property
    def is_grave(self) -> bool:
        """Whether something is certainly broken."""
        return any(found.is_grave for found in self.findings)

    @property
    def headline(self) -> Finding | None:
        """What to look at first, where anything is more than a note."""
        worse = (found for found in self.findings if found.severity is not Severity.NOTE)
        return next(worse, None)


def diagnose(kernel: Kernel) -> Diagnosis:
    """What is wrong at this moment, by the moment alone; never fails."""
    return examine(kernel)


def examine(
    kernel: Kernel,
    events: Sequence[TraceEvent] | None = None,
    console: str | None = None,
    looks: Looks | None = None,
) -> Diagnosis:
    """What is wrong with a kernel, by every rule of the table; never fails.

    `events` are what was recorded until this moment, `console` what was printed, `looks` at
    it while it ran.
    """
    examination = Examination(kernel, events, console, looks)
    found: list[Finding] = []
    checked: list[Check] = []
    left: list[NotChecked] = []
    for check in CHECKS:
        more, why = ask(check, examination)
        found += more[:MAX_OF_A_CODE]
        if why:
            left.append(NotChecked(check, why))
        else:
            checked.append(check)
    return Diagnosis(ranked(found), tuple(checked), tuple(left))


def ask(check: Check, examination: Examination) -> tuple[list[Finding], str]:
    """What one rule finds, and why it could not look at all of it, or ""; never fails."""
    found: list[Finding] = []
    try:
        if why := unmet(examination, check.needs):
            return [], why
        for finding in named(_RULES + check.rule)(examination):
            found.append(finding)
            if len(found) > MAX_OF_A_CODE:
                break
    except UndecidedError as error:
        return found, str(error)
    except DecodeError as error:
        return found, f"{error.problem.where}: {error.problem.why}"
    except Exception as error:  # noqa: BLE001
        # On a damaged kernel one rule may fail in a way that nobody thought of: the others go on.
        return found, f"the rule failed: {type(error).__name__}: {error}"
    return found, ""


def ranked(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings in the order to read them.

    What the events show first comes first, then what is surer and graver; but what follows from
    another error stands below it.
    """
    codes = {finding.code for finding in found if finding.severity is Severity.ERROR}

    def rank(finding: Finding) -> tuple[bool, bool, bool, int, int, int]:
        causes = {*finding.because_of, *FOLLOWS.get(finding.code[:4], ())} - {finding.code}
        follows = not causes.isdisjoint(codes)
        return (
            finding.severity is Severity.NOTE,
            follows,
            finding.first_seen is None,
            finding.first_seen or 0,
            _CERTAINTY.index(finding.confidence),
            _GRAVITY.index(finding.severity),
        )

    return tuple(sorted(found, key=rank))
