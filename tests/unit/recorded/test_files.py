"""The recordings themselves: small, all of one kernel, and only read where they were looked at."""

import pytest

from rcdbg.errors import MemoryReadError
from tests.support.recordings import FOLDER, Played, recorded
from tests.unit.recorded.runs import NAMES, said

LARGEST, ALL_OF_THEM = 800_000, 1_400_000


def test_they_are_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert len(sizes) == len(NAMES) + 1
    assert max(sizes) < LARGEST
    assert sum(sizes) < ALL_OF_THEM


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_run_of_the_kernel_beside_it_to_its_end(name: str) -> None:
    recording = recorded(name)
    assert said(name)[-1] == f"scenario {name} passed"
    assert f"scenario={name}" in recording.append
    assert recording.exit_status == 0
    ticks = [step.ticks for step in recording.steps]
    assert ticks == sorted(ticks)
    assert {step.pc for step in recording.steps} <= {*recording.places}
    played = Played(recording)
    while played.forward():
        pass
    assert played.console == recording.console


def test_what_was_not_kept_cannot_be_read() -> None:
    played = Played(recorded("threads"))
    assert played.forward()
    with pytest.raises(MemoryReadError, match="was not recorded"):
        played.read_phys(played.ram.end - 8, 8)
