"""What each way to look at a kernel says of it, at one trap or along the first ones.

Each check returns a word of `at_stops`, and raises AssertionError where what is said is wrong.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from rcdbg.guest.snapshot_writer import write_snapshot
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.kept import kernel_in
from rcdbg.model.memory.page_table import read_page_table
from rcdbg.model.state import Processor
from rcdbg.model.threads.processor import read_processor
from rcdbg.testing import trap_enter
from rcdbg.trace.run import Run, machine_of
from rcdbg.trace.story.story import begin
from tests.integration.tui.terminal import Terminal
from tests.real.at_stops import IN_PART, NOT_KNOWN, RIGHT, threads
from tests.real.truth import Truth
from tests.support.in_gdb import InGdb, documents
from tests.support.qemu_account import parse_gva2gpa
from tests.support.real import ROOT, RealKernel

STORY = """
from rcdbg.testing import trap_enter

def test_story(rcdbg_boot):
    run = rcdbg_boot()
    for _ in range({traps}):
        run.until(trap_enter())
    found = run.state().processor
    print("current", found.current.id if found.current else None)
    assert run.registers["satp"] == run.kernel().csr("satp")
"""


def rcdbg(*arguments: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Runs `rcdbg ...` without a terminal; it ends well, and says nothing of Python."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from rcdbg.cli.main import main"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}; sys.exit(main())", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def first_screen(kernel: RealKernel, folder: Path) -> str:
    """`rcdbg -- LINE` in a terminal: the panels come, and `q` ends it."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from rcdbg.cli.main import main"
    terminal = Terminal(folder, [sys.executable, "-c", f"{start}; main()", "--", *kernel.words])
    try:
        text = terminal.wait_for("Threads", "CSRs", "STOPPED")
        assert "Traceback" not in text
        terminal.press("q")
        assert terminal.status() == 0
    finally:
        terminal.close()
    return RIGHT


def everything(kernel: RealKernel, family: str = "tg") -> None:
    """`show all` and `describe` end well, and agree on the family."""
    rcdbg("show", "all", "--", *kernel.words)
    described = json.loads(rcdbg("describe", "--json", "--", *kernel.words).stdout)
    assert described["described"]["family"] == family


def user_programs(found: Processor, programs: dict[int, str], sepc: str | None) -> str:
    """Which program runs, and where in it its trap came from.

    `programs` are those that it can be, by their places in the kernel's table.
    """
    current = found.current
    if current is None or not current.name:
        return NOT_KNOWN
    numbered = [f"app_{place}" for place in programs]
    assert current.name in (*programs.values(), *numbered), current.name
    return RIGHT if sepc and current.name not in numbered else IN_PART


def snapshot(run: Run, truth: Truth, folder: Path) -> str:
    """What is kept of it says the same: of the threads by what they did, of the table as now."""
    file = folder / "kept.snap"
    write_snapshot(file, machine_of(run), run.target.read_phys)
    kept = kernel_in(file, NOTHING)
    threads(read_processor(kept), truth)
    now = read_page_table(run.kernel())
    assert read_page_table(kept) == now
    return RIGHT


def gdb(run: Run, truth: Truth) -> str:
    """`rc` in gdb: who runs, who is ready, where an address leads."""
    pc = run.stub.registers().pc
    paged = bool(run.kernel().memory.satp.value)
    physical = parse_gva2gpa(run.stub.monitor(f"gva2gpa {pc:#x}"))
    text = InGdb("gdb-multiarch", run)(
        "rc threads --json", f"rc walk {pc:#x} --json", "rc describe", "rc all"
    )
    said = {key: document[key] for document in documents(text) for key in document}
    if paged:
        walked = json.dumps(said["walk"])
        assert f"{physical:#x}" in walked, walked
    return _ids(said["threads"], truth)


def _ids(document: dict[str, Any], truth: Truth) -> str:
    if document["current"] is None and not document["ready"]:
        return IN_PART
    assert document["current"]["id"] == truth.current
    assert [t["id"] for t in document["ready"]] == list(truth.queue)
    return RIGHT


def trace(kernel: RealKernel, traps: list[tuple[int | None, int, int]], deterministic: bool) -> str:
    """The first traps: of which thread each is, scause and sepc."""
    story = begin(kernel.boot(deterministic))
    try:
        events = [story.until(trap_enter()) for _ in traps]
    finally:
        story.machine.close()
    seen = [(e.thread, e.fields["scause"], e.fields["sepc"]) for e in events]
    assert [told[1:] for told in seen] == [trap[1:] for trap in traps]
    if all(told[0] is None for told in seen):
        return IN_PART
    assert seen == traps
    return RIGHT


def in_pytest(kernel: RealKernel, folder: Path, traps: int, truth: Truth) -> str:
    """A story in a file of a student's, by the kernel's own command line."""
    (folder / "test_story.py").write_text(STORY.format(traps=traps))
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import pytest; sys.exit(pytest.main())"
    done = subprocess.run(
        [sys.executable, "-c", start, "-q", "-s", "-p", "no:cacheprovider", "-p", "no:asyncio",
         f"--rcdbg-qemu={shlex.join(kernel.words)}", "test_story.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    current = re.search(r"current (\w+)", done.stdout)
    assert current is not None, done.stdout
    if current[1] == "None":
        return IN_PART
    assert int(current[1]) == truth.current
    return RIGHT
