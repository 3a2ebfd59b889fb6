"""A snapshot is enough: no QEMU, no gdb, no ELF beside it."""

import json
from pathlib import Path

import pytest

from rcdbg.guest.snapshot import read_snapshot
from rcdbg.image.elf import load_image
from rcdbg.model.kernel import Kernel
from rcdbg.subjects.table import SUBJECTS
from tests.integration.targets.ways import (
    answers,
    one_line,
    rcdbg,
)

pytestmark = pytest.mark.every_kernel


def test_a_snapshot_file_is_enough(rcdbg_kernel: Path, tmp_path: Path) -> None:
    """Neither QEMU nor gdb is in the path, and the ELF is out of the file."""
    file = tmp_path / "kernel.snap"
    done = rcdbg("snapshot", file, "--kernel", rcdbg_kernel, "--scenario", "preempt")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(file) in done.stdout
    image, snapshot = load_image(rcdbg_kernel), read_snapshot(file)
    expected = answers(Kernel.now(image, snapshot.target))
    for s, document in zip(SUBJECTS, expected, strict=False):
        if s.name in ("all", "threads", "csr"):
            done = rcdbg("show", s.name, "--snapshot", file, "--json", path=str(tmp_path))
            assert (done.returncode, done.stderr) == (0, "")
            assert json.loads(done.stdout) == document
    done = rcdbg("walk", "handle_interrupt", "--snapshot", file, path=str(tmp_path))
    assert done.returncode == 0
    assert "level 2" in done.stdout
    assert list(tmp_path.iterdir()) == [file]

    said = one_line(rcdbg("show", "--snapshot", file, "--kernel", rcdbg_kernel))
    assert "--kernel" in said
    file.write_bytes(file.read_bytes()[:5000])
    assert "truncated" in one_line(rcdbg("show", "--snapshot", file))
    assert "not a snapshot" in one_line(rcdbg("show", "--snapshot", rcdbg_kernel))
