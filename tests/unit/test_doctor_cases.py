"""The cases of `make doctor` fit the kernels' sources and the doctor's codes, without a build."""

from pathlib import Path

import pytest

from rcdbg.doctor.table import CODES
from tests.doctor import Case
from tests.doctor.cases import FAULTY, HEALTHY
from tests.mutants import PATCHES
from tests.support.shapes import SOURCE
from tests.support.variants import KERNEL

ALL = (*FAULTY, *HEALTHY)


def source(case: Case) -> Path:
    return KERNEL if case.kernel == "sample" else SOURCE / "v3" / "src"


def test_names_are_used_once() -> None:
    names = [case.name for case in ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", FAULTY, ids=lambda case: case.name)
def test_a_fault_can_be_put_in_and_named(case: Case) -> None:
    assert set(case.codes) <= set(CODES)
    assert bool(case.edits) != bool(case.mutant)
    if case.mutant:
        assert (PATCHES / f"{case.mutant}.patch").is_file()
    changed: dict[str, str] = {}
    for edit in case.edits:
        text = changed.get(edit.file) or (source(case) / edit.file).read_text()
        assert text.count(edit.old) == 1
        changed[edit.file] = text.replace(edit.old, edit.new)


def test_each_class_of_faults_has_a_healthy_neighbour() -> None:
    assert {case.kernel for case in FAULTY} <= {case.kernel for case in HEALTHY}
    assert not any(case.codes or case.edits or case.mutant for case in HEALTHY)
