"""What rcdbg costs those who have it installed and test something else."""

import subprocess
import sys
from pathlib import Path

import pytest

import rcdbg
import rcdbg.testing
from rcdbg.testing import words

ROOT = Path(rcdbg.__file__).parents[1]

COLLECT = """
import sys
import pytest

status = pytest.main(["--collect-only", "-q"])
assert status == pytest.ExitCode.NO_TESTS_COLLECTED, status
packages = ("rcdbg", "rich", "textual", "elftools", "qemu", "pygdbmi", "pexpect")
print("LOADED", *sorted(name for name in sys.modules if name.split(".")[0] in packages))
"""


def test_a_run_without_kernels_imports_nothing_but_the_plugin(tmp_path: Path) -> None:
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{COLLECT}"
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1].split()
    assert last == ["LOADED", "rcdbg", "rcdbg.testing", "rcdbg.testing.plugin"]


def test_the_words_are_those_of_the_package() -> None:
    everything: dict[str, object] = {}
    exec("from rcdbg.testing import *", everything)
    assert {*everything} - {"__builtins__"} == {*words.__all__}
    for name in words.__all__:
        assert everything[name] is getattr(words, name)
    assert dir(rcdbg.testing) == words.__all__


def test_what_is_no_word_is_said_as_by_any_module() -> None:
    with pytest.raises(ImportError, match="cannot import name 'annotations'"):
        exec("from rcdbg.testing import annotations")
    with pytest.raises(AttributeError, match=r"'rcdbg.testing' has no attribute 'swich'"):
        _ = rcdbg.testing.swich  # type: ignore[attr-defined]
