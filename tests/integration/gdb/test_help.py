"""Help, completion, and how gdb steps, before there is a machine."""

import re
import sys
from pathlib import Path

from rcdbg.subjects.table import SUBJECTS
from tests.support.in_gdb import SCRIPT, InGdb, batch

COMMANDS = ("next-trap", "until-sret", "next-switch", "step-irq", "trace", "walk",
            *(s.name for s in SUBJECTS))  # fmt: skip
FUNCTIONS = ("rc_pa", "rc_va", "rc_thread", "rc_current", "rc_context", "rc_ticks", "rc_field")


def test_every_command_has_usage_and_an_example(gdb: str) -> None:
    listed = batch(gdb, f"source {SCRIPT}", "help rc").stdout
    names = re.findall(r"^rc ([\w-]+) -- .+\.$", listed, re.MULTILINE)
    assert set(COMMANDS) <= set(names)
    for subject in SUBJECTS:  # the table in gdbscripts.commands spares the imports: keep it equal
        assert f"rc {subject.name} -- Show {subject.about}." in listed
    text = batch(gdb, f"source {SCRIPT}", *(f"help rc {name}" for name in names)).stdout
    for name in names:
        assert f"Usage: rc {name}" in text
        assert re.search(rf"Examples?: rc {name}\b", text), name


def test_every_function_has_usage_and_an_example(gdb: str) -> None:
    listed = batch(gdb, f"source {SCRIPT}", "help function").stdout
    names = re.findall(r"^function (rc_\w+) -- .+\.$", listed, re.MULTILINE)
    assert set(FUNCTIONS) <= set(names)
    text = batch(gdb, f"source {SCRIPT}", *(f"help function {name}" for name in names)).stdout
    for name in names:
        assert f"Usage: ${name}(" in text
        assert re.search(rf"Example: .*\${name}\(", text), name


def test_completion(gdb: str) -> None:
    asked = (
        "rc next",
        "rc next-trap load p",
        "rc next-trap --",
        "rc step-irq o",
        "rc next-switch ",
        "rc walk $sp --pro",
        "rc walk --process 0 --j",
        "rc thread 3 --j",
        "rc thread 3 f",
        "rc print --el",
        "rc csr --explain sst",
        "rc trace --events traps,sw",
        "rc help wa",
    )
    text = batch(gdb, f"source {SCRIPT}", *(f"complete {a}" for a in asked)).stdout
    assert text.splitlines() == [
        *("rc next", "rc next-switch", "rc next-trap"),
        *("rc next-trap load page fault", "rc next-trap --json"),
        *("rc step-irq off", "rc step-irq on", "rc next-switch to"),
        *("rc walk $sp --process", "rc walk --process 0 --json", "rc thread 3 --json"),
        *("rc thread 3 frame", "rc print --elements", "rc csr --explain sstatus"),
        *("rc trace --events traps,switch", "rc help walk"),
    ]


def test_sourcing_imports_no_decoder(gdb: str) -> None:
    """`source` is quick because rich, pyelftools and the decoders wait for the first command."""
    heavy = ("rich", "elftools", "rcdbg.image", "rcdbg.model", "rcdbg.views")
    report = f"python import sys; print([m for m in {heavy!r} if m in sys.modules])"
    assert batch(gdb, f"source {SCRIPT}", report).stdout.strip() == "[]"


def test_osabi_is_set_before_a_connection(gdb: str, rcdbg_kernel: Path) -> None:
    ask = "show osabi"
    for commands in (
        (f"source {SCRIPT}", f"file {rcdbg_kernel}", ask),
        (f"file {rcdbg_kernel}", f"source {SCRIPT}", ask),
    ):
        assert 'OS ABI is "none"' in batch(gdb, *commands).stdout
    native = batch(gdb, "set debuginfod enabled off", f"source {SCRIPT}", f"file {sys.executable}",
                   ask)  # fmt: skip
    assert 'OS ABI is "auto"' in native.stdout


def test_osabi_is_complained_about_once_connected(ticked: InGdb) -> None:
    ticked.run.stub.close()
    source = f"source {SCRIPT}"
    done = batch(ticked.program, f"file {ticked.elf}", ticked.connect, source, source,
                 "rc until-sret", "disconnect")  # fmt: skip
    assert done.stderr.count("disconnect, set osabi none") == 1
    assert "set osabi none first" in done.stderr
