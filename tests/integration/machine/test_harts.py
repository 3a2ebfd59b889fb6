"""Several harts: which one is looked at, and that there are others, by every way.

What is right, QEMU's monitor says: `info registers -a` has the pc of each hart.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.machine.qemu.own_line import parse
from rcdbg.trace.conditions import reached
from rcdbg.trace.run import Boot, Run

HARTS = 3


@pytest.fixture
def line(rcdbg_kernel: Path) -> tuple[str, ...]:
    return ("qemu-system-riscv64", "-machine", "virt", "-smp", str(HARTS),
            "-kernel", str(rcdbg_kernel.absolute()))  # fmt: skip


@pytest.fixture
def run(line: tuple[str, ...], rcdbg_kernel: Path) -> Iterator[Run]:
    with Run(Boot(rcdbg_kernel, own=parse(line))) as run:
        run.until(reached("rust_main"))
        yield run


def pcs_by_qemu(run: Run) -> dict[int, int]:
    with Monitor(run.qemu.qmp_socket) as monitor:
        text = monitor.hmp("info registers -a")
    found = {}
    for part in re.split(r"CPU#", text)[1:]:
        pc = re.search(r"\bpc\s+([0-9a-f]+)", part)
        assert pc is not None
        found[int(part.split()[0])] = int(pc[1], 16)
    return found


def test_each_hart_is_the_one_that_qemu_means(run: Run) -> None:
    stopped = run.target.registers()
    expected = pcs_by_qemu(run)
    assert len(expected) == stopped.harts == HARTS
    assert stopped.hart is not None
    assert expected[stopped.hart] == stopped.pc == run.image.symbols.address_of("rust_main")
    for hart, pc in expected.items():
        run.stub.regs.harts.choose(hart)
        now = run.target.registers()
        assert (now.hart, now.pc) == (hart, pc)
    with pytest.raises(UsageError, match="--hart 7: the harts of this machine are 0, 1, 2"):
        run.stub.regs.harts.choose(7)
    # The hart that stopped is the one again, at the next stop.
    run.stub.regs.harts.choose((stopped.hart + 1) % HARTS)
    run.until(reached("__interrupt"))
    assert run.target.registers().pc == run.image.symbols.address_of("__interrupt")


def rcdbg(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *words], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_every_subject_says_which_hart_it_is_of(run: Run, line: tuple[str, ...]) -> None:
    stopped = run.target.registers().hart
    shown = rcdbg("show", "threads", "--at", "rust_main", "--", *line)
    assert re.match(rf"hart \d, of {HARTS}: the others", shown.stdout.strip("· \n"))
    other = 1 if stopped == 0 else 0
    words = ("csr", "--json", "--at", "rust_main", "--hart", str(other), "--", *line)
    document = json.loads(rcdbg("show", *words).stdout)
    assert document["harts"] == {"shown": other, "count": HARTS}
    refused = rcdbg("show", "csr", "--at", "rust_main", "--hart", "5", "--", *line)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


def test_one_hart_has_no_such_words(rcdbg_kernel: Path) -> None:
    document = json.loads(rcdbg("show", "csr", "--json", "--kernel", str(rcdbg_kernel)).stdout)
    assert "harts" not in document


@pytest.mark.parametrize("thread", [1, 2, 3])
def test_in_gdb_it_is_the_selected_thread(line: tuple[str, ...], thread: int) -> None:
    done = rcdbg("gdb", "--batch", "-x", "break rust_main", "-x", "continue",
                 "-x", f"thread {thread}", "-x", "echo <\n", "-x", "rc csr --json",
                 "-x", "echo >\n", "-x", "p $mhartid", "--", *line)  # fmt: skip
    said = done.stdout
    document = json.loads(said[said.index("<\n") + 1 : said.rindex(">\n")].lstrip("<"))
    gdbs = re.search(r"\$1 = (\d+)", said)
    assert gdbs is not None, said
    assert document["harts"] == {"shown": int(gdbs[1]), "count": HARTS}


def test_attached_it_is_the_one_that_is_named(run: Run) -> None:
    expected = pcs_by_qemu(run)
    socket = str(run.qemu.gdb_socket)
    run.stub.close()
    for hart in range(HARTS):
        said = rcdbg("attach", "all", "--stub", socket, "--kernel", str(run.image.path),
                     "--hart", str(hart), "--json", "--stay")  # fmt: skip
        document = json.loads(said.stdout)
        assert int(document["state"]["hart"]["pc"]["address"], 16) == expected[hart]
        assert f"hart {hart} of {HARTS}" in document["state"]["hart"]["note"]
