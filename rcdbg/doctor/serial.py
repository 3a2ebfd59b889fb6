"""A Diagnosis as JSON: documented in docs/json.md."""

from rcdbg.doctor.examine import Diagnosis
from rcdbg.doctor.finding import Fact, Finding
from rcdbg.model.serial.state import Json, place


def diagnosis(found: Diagnosis) -> Json:
    """What is wrong, what was looked at, and what could not be."""
    return {
        "findings": [finding(one) for one in found.findings],
        "checked": [{"code": c.code, "name": c.name} for c in found.checked],
        "not_checked": [
            {"code": left.check.code, "name": left.check.name, "why": left.why}
            for left in found.not_checked
        ],
    }


def finding(found: Finding) -> Json:
    """A finding."""
    return {
        "code": found.code,
        "severity": found.severity.value,
        "confidence": found.confidence.value,
        "title": found.title,
        "place": None if found.place is None else place(found.place),
        "evidence": [_fact(fact) for fact in found.evidence],
        "cause": found.cause,
        "help": found.help,
        "may_be_wrong_when": found.may_be_wrong_when,
        "bucket": found.bucket,
        "because_of": list(found.because_of),
    }


def _fact(fact: Fact) -> Json:
    return {
        "text": fact.text,
        "place": None if fact.place is None else place(fact.place),
        "command": fact.command,
    }
