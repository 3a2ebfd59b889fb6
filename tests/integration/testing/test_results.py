"""What becomes of a suite's tests, also of those that hang, kill pytest, or are never come to.

Each suite says itself how its tests end: the kernel has no part in it.
"""

import os
from pathlib import Path

import pytest

from rcdbg.machine.host.suite import Grade, run_suite

KINDS = """
import pytest

def test_good(): pass
def test_bad(): assert 1 + 1 == 3
def test_skipped(): pytest.skip("not for this kernel")
@pytest.mark.xfail(reason="known")
def test_known(): assert False
@pytest.fixture
def broken(): raise RuntimeError("no machine")
def test_setup(broken): pass
@pytest.fixture
def late():
    yield
    raise RuntimeError("cannot end")
def test_teardown(late, record_property): record_property("kept", "/there")
class TestClass:
    @pytest.mark.parametrize("a", ["x::y"])
    def test_in(self, a): pass
"""

ENDINGS = {
    "hang": "import time; time.sleep(10**6)",
    "swallow": "import time\n    try: time.sleep(10**6)\n    except BaseException: pass",
    "kill": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "leave": "import os; os._exit(0)",
    "exit": "import pytest; pytest.exit('enough', 0)",
}


def graded(folder: Path, suite: str, seconds: float = 60) -> Grade:
    file = folder / "test_it.py"
    file.write_text(suite)
    return run_suite([str(file)], str(folder / "no-kernel"), timeout=seconds)


def test_each_way_to_end_has_its_word(tmp_path: Path) -> None:
    grade = graded(tmp_path, KINDS)
    assert {t.name: (t.outcome, t.cause) for t in grade.tests} == {
        "test_it::test_good": ("passed", ""),
        "test_it::test_bad": ("failed", "assert (1 + 1) == 3"),
        "test_it::test_skipped": ("skipped", "not for this kernel"),
        "test_it::test_known": ("skipped", "known"),
        "test_it::test_setup": ("error", "RuntimeError: no machine"),
        "test_it::test_teardown": ("error", "RuntimeError: cannot end"),
        "TestClass::test_in[x::y]": ("passed", ""),
    }
    assert grade.outcome == "failed"
    assert next(t for t in grade.tests if "teardown" in t.name).properties == {"kept": "/there"}
    assert "1 + 1" in grade.tests[1].details


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ("hang", "did not end within 4 s in test_ends; 2 not run"),
        ("swallow", "did not end within 4 s in test_ends; 2 not run"),
        ("kill", "pytest was ended by signal 9 in test_ends; 2 not run"),
        ("leave", "pytest ended with status 0 in test_ends; 2 not run"),
        ("exit", "pytest ended with status 0 in test_ends; 2 not run"),
    ],
)
def test_what_had_no_end_has_not_passed(tmp_path: Path, ending: str, cause: str) -> None:
    suite = f"""
def test_first(): pass
def test_ends():
    {ENDINGS[ending]}
def test_third(): pass
def test_last(): pass
"""
    grade = graded(tmp_path, suite, 4 if ending in ("hang", "swallow") else 60)
    assert grade.outcome == "error"
    assert grade.cause.startswith(cause)
    assert [t.name.removeprefix("test_it::") for t in grade.tests] == [
        "test_first", "test_ends", "test_third", "test_last"
    ]  # fmt: skip
    assert [t.outcome for t in grade.tests] == ["passed", "error", "not run", "not run"]


def test_a_suite_without_tests_and_one_that_is_none(tmp_path: Path) -> None:
    assert graded(tmp_path, "").cause == "the suite has no tests"
    broken = graded(tmp_path, "import no_such_module")
    assert broken.outcome == "error"
    assert "no_such_module" in broken.cause
    assert len(broken.tests) == 1


def test_what_cannot_be_told_is_not_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conftest.py").write_text(f"""
import resource, signal
def pytest_collection_finish():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, {os.sysconf("SC_PAGE_SIZE")}))
""")
    grade = graded(tmp_path, "def test_one(): pass")
    assert grade.outcome == "error", "no file can grow: as on a full disk"
