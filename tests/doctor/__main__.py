"""How good the doctor is: `python -m tests.doctor [NAME ...]` (`make doctor`).

Builds each kernel of the cases, asks `rcdbg doctor`, and prints by class how many faults were found
(recall), how much of what was said is so (precision), and how often the fault was named first. Exit
status 1 if that is less than the doctor promises.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.doctor import BuildError, Case, Said, Workshop, diagnosis
from tests.doctor.cases import FAULTY, HEALTHY

RECALL, PRECISION, FIRST = 0.90, 0.97, 0.80


def main(arguments: list[str]) -> int:
    """Judge these cases, or all; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.doctor", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of cases; parts of names do")
    names = parser.parse_args(arguments).names
    cases = [c for c in (*FAULTY, *HEALTHY) if not names or any(n in c.name for n in names)]
    with tempfile.TemporaryDirectory(prefix="rcdbg-doctor-") as work:
        said = list(judged(cases, Workshop(Path(work))))
    return report(said)


def judged(cases: Iterable[Case], workshop: Workshop) -> Iterable[Said]:
    """What is said of each, a line printed as it comes."""
    healthy: dict[str, Path] = {}
    for case in cases:
        try:
            if case.edits or case.mutant:
                elf = workshop.make(case)
            else:
                elf = healthy.get(case.kernel) or workshop.make(case)
                healthy[case.kernel] = elf
        except BuildError as error:
            said = Said(case, (), f"not built: {error}")
        else:
            said = diagnosis(case, elf)
        print(line(said), flush=True)
        yield said


def line(said: Said) -> str:
    """A case in a line."""
    case = said.case
    if said.trouble:
        word = "TROUBLE"
    elif not case.codes:
        word = "silent" if not said.codes else "WRONG"
    else:
        word = "first" if said.is_first else "found" if said.is_found else "MISSED"
    wrong = f"  not so: {' '.join(said.wrong)}" if said.wrong else ""
    told = said.trouble or " ".join(said.codes) or "nothing"
    return f"{word:8} {case.name:34} {' '.join(case.codes) or '-':20} said: {told}{wrong}"


def report(said: list[Said]) -> int:
    """The table by class; 1 if it is not good enough."""
    groups: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        groups[one.case.group].append(one)
    print(f"\n{'class':10} {'kernels':>8} {'recall':>8} {'first':>8} {'precision':>10}")
    for name in [*sorted(groups), "all"]:
        of = said if name == "all" else groups[name]
        found, first, precision = rates(of)
        print(f"{name:10} {len(of):8} {found:>8.0%} {first:>8.0%} {precision:>10.0%}")
    found, first, precision = rates(said)
    good = found >= RECALL and first >= FIRST and precision >= PRECISION
    return 0 if good and not any(one.trouble for one in said) else 1


def rates(said: list[Said]) -> tuple[float, float, float]:
    """Recall, named first, and precision; 1.0 where there is nothing to count."""
    faulty = [one for one in said if one.case.codes]
    told = sum(len(one.codes) for one in said)
    wrong = sum(len(one.wrong) for one in said)
    return (
        sum(one.is_found for one in faulty) / len(faulty) if faulty else 1.0,
        sum(one.is_first for one in faulty) / len(faulty) if faulty else 1.0,
        1 - wrong / told if told else 1.0,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
