"""`rcdbg print` and `rc print` on the kernel: the same values as gdb's own printing gives."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from rcdbg.image.types import BaseType, StructType, TypeId, TypeTable
from rcdbg.model.values.completion import complete
from rcdbg.model.values.inspect import Node
from rcdbg.model.values.printed import read_path
from rcdbg.model.values.statics import statics
from rcdbg.trace.run import Run
from tests.support.in_gdb import TIMEOUT, InGdb, documents
from tests.support.questions import ask

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.every_kernel

# What gdb itself makes of PROCESSOR: fields looked up by gdb, nothing of rcdbg.
WITNESS = """
def dig(value, name):
    queue = [value]
    while queue:
        value = queue.pop(0)
        if value.type.strip_typedefs().code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            continue
        for field in value.type.fields():
            if field.is_base_class or field.name is None or field.artificial:
                continue
            if field.name == name:
                return value[field]
            queue.append(value[field])
def count(atomic):
    held = dig(atomic, 'value')
    # From Rust 1.96 on, in a struct that aligns it.
    return int(held['__0'] if held.type.code == gdb.TYPE_CODE_STRUCT else held)
def thread(pointer):
    kind = gdb.lookup_type('alloc::sync::ArcInner<{thread}>').pointer()
    inner = gdb.Value(pointer).cast(kind).dereference()
    held = inner['data']
    strong, weak = (count(inner[n]) for n in ('strong', 'weak'))
    start, end = (int(held['stack'][n]['__0']) for n in ('start', 'end'))
    print('THREAD', int(held['id']), start, end, strong, weak, int(held.address))
static = gdb.Value({place}).cast(gdb.lookup_type('{lazy}').pointer()).dereference()
current = dig(static, 'current_thread')
word = gdb.selected_inferior().read_memory(int(current.address), 8)
thread(int.from_bytes(bytes(word), 'little'))
"""


def symbol_address(run: Run, name: str) -> int:
    """By the ELF's symbol table, where link-time optimisation may append `.llvm.NUMBER`."""
    with run.image.path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        found = [s["st_value"] for s in table.iter_symbols() if s.name.startswith(name)]
    assert len(found) == 1
    return int(found[0])


def child(node: Node, *names: str) -> Node:
    for name in names:
        node = next(c for c in node.children if c.name == name)
    return node


def path_to_number(types: TypeTable, atomic: TypeId) -> str:
    """The fields from an atomic to its number: how many there are depends on Rust's version."""
    path, kind = "", types.type(atomic)
    while isinstance(kind, StructType):
        (member,) = kind.members
        path, kind = f"{path}.{member.name}", types.type(member.type)
    return path


def test_numbers_are_those_that_gdb_prints(gdb: str, run: Run) -> None:
    kernel, types = run.kernel(), run.image.types
    commands, expected = [], {}
    for one in statics(run.image):
        kind = types.type(one.static.type)
        atomic = kind.name.startswith("core::sync::atomic::Atomic") and "::scenarios::" in one.name
        if "<" in one.name or not (isinstance(kind, BaseType) or atomic):
            continue
        expected[one.name] = read_path(kernel, one.name).value
        held = path_to_number(types, one.static.type) if atomic else ""
        commands.append(f'printf "NUMBER {one.name} %lu\\n", {one.name}{held}')
    assert "os::interrupt::timer::TICKS" in expected
    assert expected["os::interrupt::timer::TICKS"] != 0
    found = re.findall(r"NUMBER (\S+) (\d+)", InGdb(gdb, run)(*commands))
    assert {name: int(number) for name, number in found} == expected


def test_the_current_thread_is_the_one_that_gdb_finds(gdb: str, run: Run, tmp_path: Path) -> None:
    node = read_path(run.kernel(), "PROCESSOR.current_thread")
    processor = next(s for s in statics(run.image) if s.name.endswith("::PROCESSOR"))
    script = tmp_path / "witness.py"
    text = WITNESS.replace("{place}", str(symbol_address(run, processor.static.linkage_name)))
    text = text.replace("{lazy}", run.image.types.type(processor.static.type).name)
    script.write_text("import gdb\n" + text.replace("{thread}", node.type))
    found = re.findall(r"^THREAD (.*)$", InGdb(gdb, run)(f"source {script}"), re.MULTILINE)
    assert len(found) == 1
    number, start, end, strong, weak, address = map(int, found[0].split())
    mask = (1 << 64) - 1
    assert node.address == address & mask
    assert child(node, "id").value == number
    assert [child(node, "stack", n).value for n in ("start", "end")] == [start & mask, end & mask]
    assert f"strong {strong}, weak {weak - 1}" in node.notes


def test_all_statics_are_shown_without_a_problem(run: Run) -> None:
    def problems(node: Node) -> list[object]:
        return [*node.problems, *(p for c in node.children for p in problems(c))]

    known = statics(run.image)
    assert len(known) > 15
    for one in known:
        if "<" not in one.name:
            assert problems(read_path(run.kernel(), one.name)) == [], one.name


def test_threads_by_path_are_those_of_show(run: Run) -> None:
    state = run.state().processor
    assert state.current is not None
    assert state.ready
    current = read_path(run.kernel(), "os::process::PROCESSOR.current_thread.id")
    assert current.value == state.current.id
    pool = read_path(run.kernel(), "PROCESSOR.scheduler.pool")
    assert pool.length is not None
    assert pool.length >= len(state.ready)


def test_rc_print_says_the_same_as_rcdbg(gdb: str, run: Run) -> None:
    paths = ["PROCESSOR", "os::process::PROCESSOR.current_thread", "TICKS", "KERNEL_PROCESS"]
    kernel = run.kernel()
    expected = [ask(kernel, f"print {path}").document for path in paths]
    assert documents(InGdb(gdb, run)(*(f"rc print {p} --json" for p in paths))) == expected


def test_rc_print_completes_by_tab(gdb: str, run: Run) -> None:
    text = InGdb(gdb, run)(
        "complete rc print PROC",
        "complete rc print PROCESSOR.cur",
        "complete rc print os::interrupt::timer::TI",
        "complete rc print PROCESSOR.scheduler.pool[",
        "complete rc print *PROCESSOR.current_thread.inner.con",
        "complete rc print PROCESSOR --dep",
    )
    for line in (
        "rc print PROCESSOR",
        "rc print PROCESSOR.current_thread",
        "rc print os::interrupt::timer::TICKS",
        "rc print PROCESSOR.scheduler.pool[0]",
        "rc print *PROCESSOR.current_thread.inner.context",
        "rc print PROCESSOR --depth",
    ):
        assert line in text.splitlines()


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("NO_SUCH_STATIC", "no static 'NO_SUCH_STATIC'"),
        ("PROCESSOR.nonesuch", "it has"),
        ("PROCESSOR[0]", "no elements"),
        ("PROCESSOR --depth x", "--depth"),
        ("PROCESSOR --depth", "--depth"),
        ("PROCESSOR..x", "name of a field"),
    ],
)
def test_rc_print_refuses_in_one_line(gdb: str, run: Run, arguments: str, words: str) -> None:
    assert words in InGdb(gdb, run).refused(f"rc print {arguments}")


def rcdbg(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
        cwd=ROOT,
    )


@pytest.mark.one_kernel
def test_rcdbg_print(rcdbg_kernel: Path) -> None:
    common = ("--kernel", str(rcdbg_kernel), "--scenario", "preempt")
    done = rcdbg("print", "PROCESSOR.current_thread", "--depth", "1", *common)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Arc › Thread .*strong \d", done.stdout)
    assert re.search(r"^[├└] id: \d", done.stdout, re.MULTILINE)
    done = rcdbg("print", "TICKS", "--json", "--at", "handle_interrupt:2", *common)
    document = json.loads(done.stdout)
    assert document["value"]["kind"] == "integer"
    assert document["value"]["value"] == 1


def test_rcdbg_print_lists_the_statics(rcdbg_kernel: Path) -> None:
    done = rcdbg("print", "--kernel", str(rcdbg_kernel))
    assert (done.returncode, done.stderr) == (0, "")
    assert "os::process::processor::PROCESSOR" in done.stdout
    done = rcdbg("print", "--json", "--kernel", str(rcdbg_kernel))
    names = [one["name"] for one in json.loads(done.stdout)["statics"]]
    assert len(names) == len(set(names))
    done = rcdbg("print", "--complete", "os::interrupt::timer::T", "--kernel", str(rcdbg_kernel))
    assert done.stdout == "os::interrupt::timer::TICKS\n"


def test_types_complete_what_a_stop_completes(run: Run) -> None:
    """Without a machine the same fields are offered, where no enum decides which there are."""
    kernel, image = run.kernel(), run.image
    for path in (
        "PROCESSOR.",
        "PROCESSOR.current_thread.",
        "*PROCESSOR.current_thread.process.inner.",
        "PROCESSOR.current_thread.process.inner.memory_set.segments[0].",
        "FRAME_ALLOCATOR.allocator.",
        "HEAP.",
    ):
        offered = complete(image, path)
        assert offered
        assert offered == complete(image, path, kernel)


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["NONESUCH"], "no static"),
        (["PROCESSOR", "--depth", "99"], "--depth"),
        (["PROCESSOR", "--elements", "-1"], "--elements"),
        (["PROCESSOR.nonesuch"], "it has"),
    ],
)
def test_rcdbg_print_refuses_in_one_line(
    rcdbg_kernel: Path, arguments: list[str], words: str
) -> None:
    done = rcdbg("print", *arguments, "--kernel", str(rcdbg_kernel))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert done.stdout == ""


def test_a_static_that_was_optimised_out_is_said_to_be(run: Run) -> None:
    lost = [path for path in run.image.types.lost_statics() if path.endswith("::INTERVAL")]
    if not lost:
        assert read_path(run.kernel(), "timer::INTERVAL").value == 1_000_000
        return
    from rcdbg.errors import UsageError

    with pytest.raises(UsageError, match="optimised out"):
        read_path(run.kernel(), "timer::INTERVAL")
