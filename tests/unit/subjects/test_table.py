"""The table of subjects holds together: what it names is there, what it says goes together."""

import argparse
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from rcdbg.cli import show
from rcdbg.cli.front import _parser
from rcdbg.errors import UsageError
from rcdbg.kernels.reading import NOTHING
from rcdbg.lazy import named
from rcdbg.model.kept import kernel_in
from rcdbg.model.values.inspect import DEFAULT_LIMITS
from rcdbg.subjects import docs, prompt, report, table
from rcdbg.subjects.subject import Question, Reading, Subject
from rcdbg.words import take
from tests.support.questions import ask

ROOT = Path(__file__).resolve().parents[3]
SNAPSHOT = ROOT / "tests" / "snapshots" / "three-threads-preempted.snap"
EVERY = (*table.SUBJECTS, *table.QUESTIONS)


def readings(entry: Subject) -> list[Reading]:
    found = [entry.reading, *(variant.reading for variant in entry.variants)]
    return [*found, entry.without] if entry.without else found


@pytest.mark.parametrize("entry", EVERY, ids=lambda entry: entry.name)
def test_every_function_that_is_named_is_there(entry: Subject) -> None:
    for reading in readings(entry):
        wanted = 2 if reading.asks else 1
        inspect.signature(named(reading.read)).bind(*[None] * wanted)
        for name in (reading.draw, reading.serialise):
            inspect.signature(named(name)).bind(None)
    for name in filter(None, (entry.panel, entry.summary)):
        inspect.signature(named(name)).bind(None)


@pytest.mark.parametrize("entry", EVERY, ids=lambda entry: entry.name)
def test_options_and_variants_name_each_other(entry: Subject) -> None:
    flags = {option.flag for option in entry.options}
    assert len(flags) == len(entry.options)
    for variant in entry.variants:
        assert {*variant.flags, *variant.takes} <= flags
    assert flags.isdisjoint({"--json", "--kernel", "--at", "--live", "--snapshot", "--attach"})


def test_names_are_there_once() -> None:
    names = [entry.name for entry in EVERY]
    assert len(names) == len(set(names))
    assert all(entry.about for entry in EVERY)


def test_the_bound_of_print_is_that_of_a_whole_tree() -> None:
    (elements,) = (o for o in table.subject("print").options if o.flag == "--elements")
    assert elements.number == (0, DEFAULT_LIMITS.nodes)


def question(line: str) -> Question:
    name, *words = line.split()
    entry = table.subject(name)
    return entry.question(*take(name, prompt.options(entry), words))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("pagetable", "page_table"),
        ("pagetable --writable --process 1", "page_table"),
        ("pagetable --lint --root 1 --json", "lint"),
        ("pagetable --diff-root 2 --process 1", "diff"),
        ("pagetable --against x --diff-process 1 --satp 0", "diff"),
        ("threads --bt", "threads"),
        ("context --backtrace", "backtrace"),
        ("csr --explain satp", "csr"),
        ("print", "statics"),
        ("print A.b --depth 2", "value"),
        ("walk $sp + 8", "walk"),
    ],
)
def test_options_choose_the_reading(line: str, key: str) -> None:
    assert question(line).reading.key == key


def test_against_takes_the_options_that_are_a_question_of_their_own() -> None:
    assert question("pagetable --against x --diff-root 1").reading.read.endswith(":moments")
    assert question("pagetable --diff-root 1").reading.read.endswith(":diff")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pagetable --lint --aliases", "--lint and --aliases are two questions"),
        ("pagetable --lint --diff-root 1", "are two questions"),
        ("pagetable --aliases --user", "takes no filter .--user."),
        ("frames more", "frames takes no 'more'"),
        ("walk", "walk wants an address"),
        ("thread x", "wants a number"),
    ],
)
def test_what_does_not_go_together_is_refused(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        question(line)


def test_the_report_holds_what_it_says() -> None:
    document = ask(kernel_in(SNAPSHOT, NOTHING), "all").document
    assert tuple(sorted(report.keys())) == tuple(sorted(document["state"]))


def test_the_documents_have_the_table() -> None:
    text = (ROOT / "docs" / "json.md").read_text()
    assert docs.json_table() in text, "run python -m tools.refresh_docs docs/json.md"


def test_the_command_line_takes_every_subject_and_option() -> None:
    for entry in table.SUBJECTS:
        words = ["show", entry.name]
        for option in entry.options:
            words += [option.flag, *(["1"] if option.metavar else [])]
        arguments = _parser().parse_args(words)
        assert arguments.subject == entry.name
        assert show.run is arguments.run
    for entry in table.QUESTIONS:
        arguments = _parser().parse_args([entry.name, "1"])
        assert arguments.argument == "1"


def test_an_option_of_another_subject_is_refused() -> None:
    arguments: argparse.Namespace = _parser().parse_args(["show", "heap", "--backtrace"])
    with pytest.raises(UsageError, match="for context, threads, backtrace, not for heap"):
        show.question(table.subject("heap"), arguments)


@pytest.mark.parametrize(
    "statement",
    [
        "from rcdbg.subjects import prompt, table; [prompt.help_text(e, 'rc') for e in"
        " (*table.SUBJECTS, *table.QUESTIONS)]",
        "from rcdbg.subjects import table, prompt; from rcdbg.words import take;"
        " e = table.subject('pagetable'); e.question(*take('', prompt.options(e), ['--lint']))",
    ],
)
def test_help_and_parsing_need_no_decoder(statement: str) -> None:
    heavy = ("rich", "elftools", "rcdbg.image", "rcdbg.model", "rcdbg.views", "rcdbg.trace")
    asked = f"{statement}; import sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_the_command_lines_own_help_needs_no_decoder() -> None:
    heavy = ("rich", "elftools", "rcdbg.image.elf", "rcdbg.model", "rcdbg.kernels", "rcdbg.views")
    asked = (
        "import sys\nfrom rcdbg.cli.main import main\n"
        "try: main(['show', '--help'])\n"
        f"except SystemExit: print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith("usage: ")
    assert done.stdout.endswith("\n[]\n")


def sources() -> prompt.Sources:
    kernel = kernel_in(SNAPSHOT, NOTHING)
    return prompt.Sources(lambda: kernel.image, lambda: kernel)


def nothing() -> prompt.Sources:
    def none() -> None:
        raise UsageError("there is none")

    return prompt.Sources(none, none)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "before", "typed", "found"),
    [
        ("walk", [], "handle_inter", "handle_interrupt"),
        ("walk", [], "--pro", "--process"),
        ("walk", ["$sp"], "--s", "--satp"),
        ("pagetable", ["--from"], "handle_inter", "handle_interrupt"),
        ("pagetable", ["--lint"], "--js", "--json"),
        ("csr", ["--explain"], "sst", "sstatus"),
        ("thread", [], "", "1"),
        ("print", [], "PROCESSOR.cur", "PROCESSOR.current_thread"),
        ("pagetable", ["--against"], f"{SNAPSHOT.parent}/three", str(SNAPSHOT)),
    ],
)
def test_completion(name: str, before: list[str], typed: str, found: str) -> None:
    assert found in prompt.complete(table.subject(name), before, typed, sources())


@pytest.mark.parametrize("entry", EVERY, ids=lambda entry: entry.name)
def test_completion_without_a_kernel_offers_nothing_and_is_quiet(entry: Subject) -> None:
    assert prompt.complete(entry, [], "x", nothing()) == []
    assert prompt.complete(entry, ["--against"], "/no/such/place/", nothing()) == []
