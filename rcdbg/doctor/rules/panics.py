"""A kernel that gave up: which line did, and what it said."""

import re
from collections.abc import Iterator

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.table import CODES
from rcdbg.model.panics import read_panic

_DIGITS = re.compile(r"\d+")
_STACK = "show backtrace"


def panicked(examination: Examination) -> Iterator[Finding]:
    """The panic that is on the call stack, and by what it was called."""
    panic = read_panic(examination.kernel)
    if panic is None:
        return
    place = panic.place
    where = f" at {panic.file}:{panic.line}" if panic.file else ""
    if place is not None and place.file and panic.file.startswith("/"):
        where = f" at {place.file.rsplit('/', 1)[-1]}:{place.line}, in a call of it"
    if not where and place is not None and place.symbol is not None:
        where = f" in {place.symbol}"
    said = f": {panic.message}" if panic.message else ""
    evidence = []
    if place is not None:
        evidence.append(Fact("this line gave up", place, _STACK))
    if panic.message:
        evidence.append(Fact(f"it said: {panic.message}", None, _STACK))
    if panic.count > 1:
        again = f"{panic.count} panics are on the call stack: printing the first one panicked too"
        evidence.append(Fact(again, None, _STACK))
    if not evidence:
        evidence.append(Fact("the panic's function is on the call stack", None, _STACK))
    yield Finding(
        "RC0101",
        Severity.ERROR,
        Confidence.CERTAIN,
        f"the kernel panics{where}{said}",
        tuple(evidence),
        bucket_of("RC0101", panic.file.rsplit("/", 1)[-1], _DIGITS.sub("N", panic.message)),
        place,
        cause="The kernel met something that its author had ruled out, and gave up on purpose.",
        help="Read the line that is shown, not the panic's own function, and ask which of its "
        "values was not what it expects: `rcdbg show backtrace` has who called it.",
        may_be_wrong_when="the panic is a test's own, or how the kernel ends on purpose",
        because_of=tuple(code for code in CODES if code != "RC0101"),
    )
