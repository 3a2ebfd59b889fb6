"""The doctor on kernels that really have a fault: those of tests/mutants, and of its own folder.

What is right is what the patch did wrong, as its header says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rcdbg.doctor.examine import Diagnosis, examine
from rcdbg.image.elf import load_image
from rcdbg.trace.conditions import place
from rcdbg.trace.run import Boot, Run
from tests.mutants import PATCHES, Mutant, mutants
from tests.mutants.__main__ import Workshop

OWN = PATCHES.parent / "doctor"
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Ill:
    """A faulty kernel, what it runs, where it is looked at, and what must be told first."""

    patch: str
    scenario: str
    at: str
    code: str
    says: str = ""


ILL = (
    Ill("dead-thread-requeued", "threads", "handle_interrupt:14", "RC0401", "is dead, but still"),
    Ill("sleeper-stays-ready", "sleepers", "handle_interrupt:9", "RC0401", "sleeping"),
    Ill("unmap-leaves-entry", "threads", "handle_interrupt:9", "RC0602", "free and mapped"),
    Ill("satp-not-switched", "processes", "handle_interrupt:2", "RC0301", "another page table"),
    Ill("heap-too-small", "heap", "handle_interrupt:9", "RC0701", "in no single block"),
    Ill("text-writable", "threads", "handle_interrupt:3", "RC0305", r"\.text is mapped with W"),
)


def own_ills() -> Iterator[tuple[Ill, Mutant]]:
    """The doctor's own patches: `Fault`, `Scenario`, `Finds` and `Says` in their header."""
    for path in sorted(OWN.glob("*.patch")):
        found = dict(re.findall(r"^# (\w+): (.*)$", path.read_text(), re.MULTILINE))
        ill = Ill(
            path.stem, found["Scenario"], "handle_interrupt:99", found["Finds"], found["Says"]
        )
        yield ill, Mutant(path, found["Fault"], path, re.compile(found["Says"]))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("mutants"))


def looked_at(elf: Path, ill: Ill) -> Diagnosis:
    image = load_image(elf)
    with Run(Boot(elf, f"scenario={ill.scenario}", "128M"), image) as run:
        run.until(place(ill.at, image), SECONDS, or_panic=True)
        return examine(run.kernel())


EVERY = [(ill, next(m for m in mutants() if m.name == ill.patch)) for ill in ILL]


@pytest.mark.parametrize(
    ("ill", "mutant"), [*EVERY, *own_ills()], ids=lambda item: getattr(item, "patch", "")
)
def test_the_fault_is_named_first(workshop: Workshop, ill: Ill, mutant: Mutant) -> None:
    found = looked_at(workshop.make(mutant), ill)
    first = found.headline
    assert first is not None
    assert first.code == ill.code, [f"{f.code} {f.title}" for f in found.findings]
    assert re.search(ill.says, first.title)


@pytest.mark.parametrize("scenario", ["threads", "sleepers", "processes"])
def test_the_kernel_without_the_faults_is_well(workshop: Workshop, scenario: str) -> None:
    image = load_image(workshop.original)
    with Run(Boot(workshop.original, f"scenario={scenario}", "128M"), image) as run:
        run.until(place("handle_interrupt:2", image), SECONDS)
        assert examine(run.kernel()).headline is None
