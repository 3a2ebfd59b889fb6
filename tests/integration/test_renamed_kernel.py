"""A kernel with other names for everything decodes with a profile, whoever asks for whatever.

The oracle is the kernel as it is: at the same moment of the same scenario both have to give the
same documents and the same events, up to the names, the addresses of code, and where it was built.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from rcdbg.cli.main import main
from rcdbg.guest.snapshot_writer import write_snapshot
from rcdbg.image.elf import load_image
from rcdbg.kernels.reading import load_overlay
from rcdbg.kernels.recognise import describe, recognise
from rcdbg.machine.host.suite import run_suite
from rcdbg.trace.conditions import trap
from rcdbg.trace.kinds import KINDS
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.run import Boot, Run, machine_of
from rcdbg.trace.wanted import Wanted
from rcdbg.tui.live.session import LiveSession, SessionOptions
from rcdbg.tui.session import Move
from tests.integration.tui.recorder import Recorder
from tests.support.in_gdb import InGdb, documents
from tests.support.renamed import NOT_OURS, Renamed, build, described, other

pytestmark = pytest.mark.xdist_group("renamed")

SUBJECTS = ("context", "csr", "pagetable", "frames", "threads", "backtrace", "memoryset", "owners",
            "heap", "all")  # fmt: skip
OF_MEMORY = ("pagetable", "frames", "memoryset", "owners", "heap")

_ADDRESS = re.compile(r"\b0x[0-9a-f]+|\b[0-9]{8,}\b")
_FOLDER = re.compile(r"/\S*(?=/os/src/)")
_LARGE = 1 << 20

MEMORY = "16M"
"""The kernel maps all of it, page by page, and each page is an event."""


@dataclass(frozen=True)
class Both:
    """The sample kernel and the renamed one."""

    sample: Path
    renamed: Renamed

    def boots(self, append: str, *, deterministic: bool = True) -> tuple[Boot, Boot]:
        sample = Boot(self.sample, append, memory=MEMORY, deterministic=deterministic)
        names = load_overlay(self.renamed.profile)
        return sample, replace(sample, kernel=self.renamed.elf, overlay=names)

    def same(self, sample: Any, renamed: Any) -> None:
        """Both documents are the same up to names, addresses and folders."""
        back = json.loads(self.renamed.back(json.dumps(renamed)))
        assert plain(back) == plain(sample)


def plain(document: Any) -> Any:
    """The document without what depends on where code lies, or was built, and on the time."""
    if isinstance(document, Mapping):
        return {key: plain(value) for key, value in document.items() if key != "build_id"}
    if isinstance(document, list | tuple):
        return [plain(value) for value in document]
    if isinstance(document, str):
        return _FOLDER.sub("", _ADDRESS.sub("0x", document))
    if isinstance(document, int) and abs(document) >= _LARGE:
        return "large"
    return document


@pytest.fixture(scope="module")
def both(rcdbg_kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(rcdbg_kernel, build(tmp_path_factory.mktemp("renamed")))


def asked(*arguments: str | Path) -> Any:
    """The document that the command line gives."""
    said = StringIO()
    with redirect_stdout(said):
        assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(said.getvalue())


Moments = Mapping[str, tuple[Path, Path]]


def _asleep(run: Run) -> None:
    for _ in range(4):
        run.until(trap("breakpoint"))


def _in_turn(run: Run) -> None:
    for _ in range(3):
        run.until(trap("timer"))


MOMENTS: Mapping[str, tuple[str, Callable[[Run], None]]] = {
    "sleepers": ("scenario=sleepers", _asleep),
    "processes": ("scenario=processes interval=200000", _in_turn),
}


@pytest.fixture(scope="module")
def moments(both: Both, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    """A snapshot of each kernel at the same moments: where threads sleep, where processes run."""
    folder = tmp_path_factory.mktemp("moments")
    found = {}
    for name, (append, reach) in MOMENTS.items():
        files = (folder / f"{name}.snap", folder / f"{name}-renamed.snap")
        for boot, file in zip(both.boots(append), files, strict=True):
            with Run(boot) as run:
                reach(run)
                write_snapshot(file, machine_of(run), run.target.read_phys, small=True)
        found[name] = files
    return found


def test_every_name_of_the_description_is_another_one(both: Both) -> None:
    names = both.renamed.names
    assert described() - NOT_OURS <= names
    assert len(names) > 150
    image = load_image(both.renamed.elf)
    paths = {symbol.path for symbol in image.symbols} | {s.path for s in image.types.statics()}
    known = {word for path in paths for word in re.findall(r"\w+", path)}
    assert not known & {"__interrupt", "handle_interrupt", "__restore", "PROCESSOR", "Processor"}
    assert {other("handle_interrupt"), other("PROCESSOR")} <= known


def test_the_profile_makes_it_a_kernel_of_its_family(both: Both) -> None:
    image, names = load_image(both.renamed.elf), load_overlay(both.renamed.profile)
    found = recognise(image, names)
    assert found.description.family == "lab"
    assert found.fits[0].missing == ()
    assert describe(image).trap.entry == (), "without it the kernel is not known"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_subjects(both: Both, moments: Moments, subject: str) -> None:
    sample, renamed = moments["sleepers"]
    profile = ("--profile", both.renamed.profile)
    found = asked("show", subject, "--snapshot", renamed, *profile)
    both.same(asked("show", subject, "--snapshot", sample), found)
    assert "problems" not in found or not found["problems"]


@pytest.mark.parametrize("subject", OF_MEMORY)
def test_subjects_of_several_processes(both: Both, moments: Moments, subject: str) -> None:
    sample, renamed = moments["processes"]
    found = asked("show", subject, "--snapshot", renamed, "--profile", both.renamed.profile)
    both.same(asked("show", subject, "--snapshot", sample), found)


@pytest.mark.parametrize(
    "words", [("thread", "1"), ("thread", "0"), ("walk", "_start"), ("print", "TICKS"),
              ("print", "PROCESSOR.current_thread.id"), ("print", "FRAME_ALLOCATOR"),
              ("print",)], ids=" ".join)  # fmt: skip
def test_single_questions(both: Both, moments: Moments, words: tuple[str, ...]) -> None:
    sample, renamed = moments["sleepers"]
    there = [re.sub(r"\w+", lambda m: _new(both, m[0]), word) for word in words[1:]]
    profile = ("--profile", both.renamed.profile)
    found = asked(words[0], *there, "--snapshot", renamed, *profile)
    if len(words) == 1:  # all statics, by name: those have another order
        sample_names = {s["name"] for s in asked(*words, "--snapshot", sample)["statics"]}
        assert {both.renamed.back(s["name"]) for s in found["statics"]} == sample_names
        return
    both.same(asked(*words, "--snapshot", sample), found)


def _new(both: Both, word: str) -> str:
    return other(word) if word in both.renamed.names else word


def test_without_the_profile_it_says_what_it_does_not_know(
    both: Both, moments: Moments, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked("show", "threads", "--snapshot", moments["sleepers"][1])
    said = json.dumps(found)
    assert "--profile" in said
    assert main(["show", "threads", "--json", "--kernel", str(both.renamed.elf)]) == 0
    shown = capsys.readouterr()
    assert "does not recognise os, and stops at its entry" in shown.err
    assert "--profile" in shown.out


def recorded(both: Both, append: str, kinds: tuple[str, ...], *hits: str) -> list[Any]:
    """What the events of the renamed kernel tell, after it was found to be what the other's do."""
    found: list[list[Any]] = []
    new = tuple(_new(both, name) for name in hits)
    for boot, functions in zip(both.boots(append), (hits, new), strict=True):
        with record(boot, Wanted(kinds, functions)) as recording:
            found.append([told(event) for event in recording])
            assert recording.header.unseen == {}
    sample, renamed = found
    assert json.loads(both.renamed.back(json.dumps(renamed))) == json.loads(json.dumps(sample))
    return renamed


def told(event: TraceEvent) -> Any:
    return plain([event.kind, event.thread, event.place.partition("+")[0], dict(event.fields),
                  list(event.marks)])  # fmt: skip


OF_THREADS = ("trap_enter", "trap_leave", "switch", "thread_add", "thread_exit", "sleep", "wake",
              "satp", "timer_set", "console", "sbi")  # fmt: skip
OF_FRAMES = ("frame_alloc", "frame_free", "map", "unmap")


def test_events_of_threads(both: Both) -> None:
    events = recorded(both, "scenario=sleepers threads=1", OF_THREADS)
    assert {event[0] for event in events} == set(OF_THREADS)


def test_events_of_memory(both: Both) -> None:
    """One thread comes and goes, with its stack; nobody interrupts it."""
    append = "scenario=threads threads=1 interval=100000000"
    events = recorded(both, append, OF_FRAMES, "remove_stack")
    assert {event[0] for event in events} == {*OF_FRAMES, "hit"}
    of_programs = {"syscall", "syscall_end"}  # whose numbers and names no kernel chooses
    assert {*OF_THREADS, *OF_FRAMES, "hit", *of_programs} == set(KINDS)


def in_gdb(gdb: str, boot: Boot, *commands: str) -> list[Any]:
    with Run(boot) as run:
        return documents(InGdb(gdb, run)(*commands))


def test_gdb_commands(both: Both, gdb: str) -> None:
    commands = ("rc next-trap breakpoint --json", "rc all --json", "rc next-switch --json",
                "rc until-sret --json", "rc next-switch to 3 --json", "rc threads --json",
                "rc trace --events switch,sleep --until 3 --json",
                "rc thread 0 --json")  # fmt: skip
    # The clock interrupts nobody: it would be wherever the thread has come to by then.
    sample, renamed = both.boots("scenario=sleepers interval=100000000")
    profile = f"rc profile {both.renamed.profile}"
    found = in_gdb(gdb, renamed, profile, *commands)
    assert len(found) >= len(commands)
    both.same(in_gdb(gdb, sample, *commands), found)


def test_gdb_functions_and_printers(both: Both, gdb: str) -> None:
    sample, renamed = both.boots("scenario=sleepers")
    expressions = ("$rc_ticks()", "$rc_thread(1).id", "$rc_current().id",
                   "$rc_thread(1).stack.start",
                   "$rc_context(1).sepc == $rc_field($rc_thread(1), b\"sepc\")",
                   "*$rc_thread(1)", "*$rc_context(1)")  # fmt: skip

    def printed(boot: Boot, first: list[str], words: Callable[[str], str]) -> list[str]:
        with Run(boot) as run:
            run.until(trap("timer"))
            text = InGdb(gdb, run)(*first, *(f"p {words(one)}" for one in expressions))
        return re.findall(r"^\$\d+ = (.*)$", text, re.MULTILINE)

    expected = printed(sample, [], str)
    assert expected[:3] == ["0", "1", "0"]
    assert expected[4] == "true"
    profile = f"rc profile {both.renamed.profile}"
    found = printed(
        renamed, [profile], lambda text: re.sub(r"\b\w+", lambda m: _new(both, m[0]), text)
    )
    both.same(expected, found)


def test_the_session_behind_the_screen(both: Both) -> None:
    _, boot = both.boots("scenario=sleepers", deterministic=False)
    session, listener = LiveSession(SessionOptions(boot, None, "rust_main")), Recorder()
    try:
        session.start(listener)
        listener.wait_stops(1)
        session.go(Move.NEXT_TRAP)
        listener.wait_stops(2)
        state = session.state().state
        assert state.problems == ()
        assert state.trap.context is not None
        assert state.frames.managed is not None
        assert state.processor.current is not None
        said = json.loads(session.console_command("rc threads --json", 80))
        assert said["threads"]["problems"] == []
    finally:
        session.close()


SUITE = """
from rcdbg.testing import exited, sleep, switch, trap_enter, wake

def test_it(rcdbg_boot):
    run = rcdbg_boot("sleepers")
    run.until(sleep(id=1))
    run.until(trap_enter(cause="timer"))
    assert run.state().processor.problems == ()
    run.until(wake(id=1))
    run.until(exited(status=0))
"""


def test_pytest_and_grade(both: Both, tmp_path: Path) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE)
    profile = both.renamed.profile
    graded = run_suite([str(suite)], str(both.renamed.elf), timeout=300, profile=profile)
    assert graded.outcome == "passed", graded.cause
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from rcdbg.cli.main import main; sys.exit(main())",
         "grade", str(suite), str(both.renamed.elf), "--profile", str(profile)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_attach(both: Both) -> None:
    _, boot = both.boots("scenario=sleepers")
    with Run(boot) as run:
        run.until(trap("breakpoint"))
        socket, elf = run.qemu.gdb_socket, both.renamed.elf
        run.stub.close()
        found = asked("attach", "threads", "--gdb", socket, "--kernel", elf, "--profile",
                      both.renamed.profile)  # fmt: skip
    assert found["threads"]["problems"] == []
    assert found["threads"]["current"]["id"] == 1


def test_from_the_command_line(both: Both, tmp_path: Path) -> None:
    """Without --at the stop is the first trap, and a snapshot is taken there too."""
    common = ("--kernel", both.renamed.elf, "--profile", both.renamed.profile)
    file = tmp_path / "a.snap"
    assert main(["snapshot", str(file), *map(str, common), "--scenario", "sleepers"]) == 0
    found = asked("show", "context", "--snapshot", file, "--profile", both.renamed.profile)
    assert found["trap"]["note"] == "handling a trap"
    assert found["trap"]["cause"] == "breakpoint"
