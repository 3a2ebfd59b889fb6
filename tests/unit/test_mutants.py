"""The mutants' patches fit the kernel as it is, and their headers say what `make mutants` needs."""

import ast

import pytest

from tests.mutants import Mutant, mutants, patch
from tests.support.variants import KERNEL

EVERY = mutants()


@pytest.mark.parametrize("mutant", EVERY, ids=lambda m: m.name)
def test_a_patch_applies_to_the_kernel(mutant: Mutant) -> None:
    done = patch(KERNEL, mutant, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert "offset" not in done.stdout, "its lines have moved: make the patch anew"


@pytest.mark.parametrize("mutant", EVERY, ids=lambda m: m.name)
def test_a_header_says_what_is_wrong_and_who_notices(mutant: Mutant) -> None:
    assert mutant.fault.endswith(".")
    tests = [n.name for n in ast.walk(ast.parse(mutant.chapter.read_text()))
             if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]  # fmt: skip
    assert tests, f"{mutant.chapter.name} has no tests"
    assert not mutant.says.search(""), "words that any message has"


def test_every_part_of_the_kernel_is_covered() -> None:
    chapters = {mutant.chapter.stem for mutant in EVERY}
    assert len(EVERY) >= 22
    assert chapters == {path.stem for path in EVERY[0].chapter.parent.glob("test_*.py")}
