"""The rc commands inside both gdbs: plain `source`, and `rcdbg gdb`, driven as a person would."""

import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

from tests.support.in_gdb import SCRIPT, TIMEOUT, InGdb, batch, documents

pytestmark = pytest.mark.every_kernel

ROOT = Path(__file__).resolve().parents[3]
ADDED = (
    f"python import sys; sys.path.append({str(ROOT)!r})",
    "python from rcdbg.subjects import table; from tests.support.semaphores import ENTRY",
    "python table.SUBJECTS += (ENTRY,)",
)
"""Commands of gdb that add a subject to the table."""


def test_the_commands_say_the_same_as_rcdbg_itself(in_gdb: InGdb) -> None:
    from rcdbg.subjects.table import SUBJECTS
    from tests.support.questions import walk

    kernel = in_gdb.run.kernel()
    expected = [s.answer(kernel).document for s in SUBJECTS]
    expected.append(walk(kernel, kernel.registers.sp).document)
    commands = [f"rc {s.name} --json" for s in SUBJECTS] + ["rc walk $sp --json"]
    assert documents(in_gdb(*commands)) == expected


def test_a_subject_that_is_added_to_the_table_is_a_command(in_gdb: InGdb) -> None:
    """Before the script is sourced, one entry more: nothing else knows of it."""
    from rcdbg.subjects.table import SUBJECTS
    from tests.support import semaphores

    assert semaphores.ENTRY not in SUBJECTS
    kernel = in_gdb.run.kernel()
    expected = [semaphores.ENTRY.answer(kernel).document]
    text = in_gdb(f"rc {semaphores.NAME} --json", f"rc {semaphores.NAME}", "help rc",
                  f"help rc {semaphores.NAME}", f"complete rc {semaphores.NAME} --na",
                  f"rc {semaphores.NAME} --named PROCESSOR", before=ADDED)  # fmt: skip
    assert documents(text) == expected
    assert re.search(r"^os::process::processor::PROCESSOR: (held|free)$", text, re.MULTILINE)
    assert f"rc {semaphores.NAME}" in text
    assert f"Usage: rc {semaphores.NAME} [--named NAME] [--json]" in text
    assert f"rc {semaphores.NAME} --named" in text.splitlines()


def test_output_for_people(in_gdb: InGdb) -> None:
    text = in_gdb("rc threads", "rc context", "rc csr", "rc pagetable", "rc frames", "rc walk $pc")
    for words in ("running", "ready, next", "sepc", "satp", "r-x", "free", "level 2"):
        assert words in text


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("rc nonsense", "nonsense"),
        ("rc threads nonsense", "nonsense"),
        ("rc walk", "address"),
        ("rc walk no_such_symbol", "no_such_symbol"),
    ],
)
def test_wrong_commands_get_one_clear_line(in_gdb: InGdb, command: str, words: str) -> None:
    assert words in in_gdb.refused(command)


@pytest.mark.one_kernel
def test_without_a_machine_or_an_elf(gdb: str, rcdbg_kernel: Path) -> None:
    def said(*commands: str) -> str:
        return batch(gdb, f"source {SCRIPT}", *commands).stderr

    assert "no ELF" in said("rc threads")
    assert "not connected" in said(f"file {rcdbg_kernel}", "rc threads")


@pytest.mark.one_kernel
def test_an_elf_that_is_not_the_running_kernel(in_gdb: InGdb, tmp_path: Path) -> None:
    mine = bytes.fromhex(in_gdb.run.image.build_id)
    other = tmp_path / "other"
    other.write_bytes(in_gdb.elf.read_bytes().replace(mine, mine[::-1]))
    done = in_gdb.call(f"file {other}", "rc threads")
    assert "is not the kernel that runs" in done.stderr


@pytest.mark.one_kernel
def test_help_and_completion(in_gdb: InGdb) -> None:
    text = in_gdb("help rc", "help rc walk", "complete rc wal", "complete rc threads --j",
                  "complete rc walk handle_inter")  # fmt: skip
    for words in ("rc threads", "Example", "rc walk ADDRESS", "rc threads --json",
                  "rc walk handle_interrupt"):  # fmt: skip
        assert words in text


def test_backtrace_reaches_the_interrupted_code(in_gdb: InGdb) -> None:
    """The call frame information of the trap entry: handler, __interrupt, the thread."""
    context = in_gdb.run.state().trap.context
    assert context is not None
    text = in_gdb("bt 2", "frame 2", 'printf "interrupted %lx %lx %lx\\n", $pc, $sp, $s11')
    assert re.search(r"#0 .*handle_interrupt", text)
    assert "#1  <signal handler called>" in text
    expected = f"interrupted {context.sepc.address:x} {context.x[2]:x} {context.x[27]:x}"
    assert expected in text


def test_after_a_step_the_answer_is_new(in_gdb: InGdb) -> None:
    text = in_gdb("rc all --json", "stepi", "rc all --json")
    first, second = documents(text)
    assert first["state"] != second["state"]


@pytest.mark.one_kernel
def test_rcdbg_gdb_in_a_terminal(gdb: str, rcdbg_kernel: Path) -> None:
    """`rcdbg gdb`: prompt, a breakpoint, Ctrl-C into a running kernel, quit; nothing is left."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "rcdbg.cli.main", "gdb", "--gdb", gdb, "--kernel", str(rcdbg_kernel),
         "--scenario", "preempt"],
        env={**os.environ, "TERM": "dumb", "NO_COLOR": "1"},
        encoding="utf-8",
        timeout=TIMEOUT,
        dimensions=(50, 150),
    )  # fmt: skip
    try:
        child.expect_exact("(gdb) ")
        child.sendline("break handle_interrupt")
        child.expect("Breakpoint 1")
        child.expect_exact("(gdb) ")
        child.sendline("continue")
        child.expect("Breakpoint 1, ")
        child.expect_exact("(gdb) ")
        child.sendline("rc threads")
        child.expect("ready, next")
        child.expect_exact("(gdb) ")
        child.sendline("delete")
        child.expect_exact("(gdb) ")
        child.sendline("continue")
        child.expect("Continuing")
        child.sendintr()
        child.expect("SIGINT")
        child.expect_exact("(gdb) ")
        child.sendline("quit")
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert child.exitstatus == 0


def test_a_selected_thread_is_what_questions_are_about(in_gdb: InGdb) -> None:
    """As if each command had named it; none goes back to the hart."""
    from rcdbg.subjects.table import subject
    from rcdbg.words import Given

    kernel = in_gdb.run.kernel()
    parked = in_gdb.run.state().processor.ready[0]
    word = str(parked.id)
    given = Given({"--task": (word,)})
    trap = subject("context").question(given).answer(kernel, lambda _, text: int(text, 0))
    text = in_gdb(
        f"rc task {word}", "rc context --json", "rc task", "rc task none", "rc context --json"
    )
    about, back = documents(text)
    assert about == trap.document
    assert back == subject("context").answer(kernel).document
    assert text.count(f"rcdbg: thread {word} is not on the hart: {parked.status}") == 2
    assert "no thread is selected" in text
