"""Other builds of the kernel decode without a change: all `every_kernel` tests run on each.

A release build in which the fields of Thread, Processor, MemorySet and others are in reverse order;
the other scheduler and allocator. Left out are those that are also marked `one_kernel`.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from rcdbg.image.elf import load_image
from rcdbg.image.types import StructType
from tests.support.variants import REORDERED, ROOT, VARIANTS, Variant, build

TIMEOUT = 1200
JOBS = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_every_kernel_passes_the_same_tests(
    variant: Variant, workshop: Path, rcdbg_kernel: Path
) -> None:
    elf = build(variant, workshop)
    assert load_image(elf).build_id != load_image(rcdbg_kernel).build_id
    if variant.reordered:
        check_that_fields_moved(rcdbg_kernel, elf)
    done = subprocess.run(
        # `make test-variants` runs one variant after the other: its tests have all cores.
        [sys.executable, "-m", "pytest", "-q", *JOBS, "-m", "every_kernel and not one_kernel",
         f"--rcdbg-kernel={elf}", "-p", "no:cacheprovider", "tests/traces", "tests/integration"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:]


def check_that_fields_moved(usual: Path, moved: Path) -> None:
    """Guards the test: the offsets really differ."""
    other = {name for name in REORDERED if offsets(usual, name) != offsets(moved, name)}
    assert other >= {"Thread", "ThreadInner", "Processor", "MemorySet"}


def offsets(elf: Path, name: str) -> dict[str, int]:
    types = load_image(elf).types
    for type_id in types.types_named(name):
        kind = types.type(type_id)
        if isinstance(kind, StructType) and kind.size and kind.members:
            return {m.name: m.offset for m in kind.members}
    raise AssertionError(f"no struct {name}")
