"""System calls of the sample kernel's U-mode program, against what it prints."""

from pathlib import Path

import pytest

from rcdbg.model.threads.trap import read_trap
from rcdbg.trace.conditions import place
from rcdbg.trace.moment import Backend
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.wanted import Wanted

LINES = ["hello from U-mode", "U-mode: its own value all the time"]
"""What the program prints (kernel/README.md)."""
FROM_USER = 8
KINDS = ("syscall", "syscall_end", "console")


@pytest.mark.parametrize("backend", ["held", "stub", "deterministic"])
def test_every_backend_tells_what_is_written(rcdbg_kernel: Path, backend: str) -> None:
    is_exact = backend == "deterministic"
    boot = Boot(rcdbg_kernel, "scenario=processes", deterministic=is_exact)
    way: Backend = "held" if backend == "held" else "stub"
    with record(boot, Wanted(KINDS, backend=way)) as recording:
        events = list(recording)
    asked = [e for e in events if e.kind == "syscall"]
    came = [e for e in events if e.kind == "syscall_end"]
    printed = [e.fields["text"] for e in events if e.kind == "console"]
    written = [e.fields["text"] for e in asked if e.fields["name"] == "write"]
    assert written == [f'"{line}\\n"' for line in LINES]
    assert [line for line in printed if line in LINES] == LINES
    results = [e.fields["result"] for e in came if e.fields["name"] == "write"]
    assert results == [len(line) + 1 for line in LINES]
    assert asked[-1].fields["name"] == "exit"
    assert len(came) == len(asked) - 1, "all come back but the last"
    assert not [mark for event in (*asked, *came) for mark in event.marks]


def test_what_the_log_cannot_tell_is_marked_or_not_known(rcdbg_kernel: Path) -> None:
    boot = Boot(rcdbg_kernel, "scenario=processes")
    with record(boot, Wanted(KINDS, backend="log")) as recording:
        events = list(recording)
    asked = [e for e in events if e.kind == "syscall" and e.fields["name"] == "write"]
    assert [e.fields["arguments"]["len"] for e in asked] == [len(line) + 1 for line in LINES]
    assert all("may have changed" in " ".join(event.marks) for event in asked)
    assert {e.fields["result"] for e in events if e.kind == "syscall_end"} == {None}


def test_a_stop_in_the_handler_shows_the_call(rcdbg_kernel: Path) -> None:
    with Run(Boot(rcdbg_kernel, "scenario=processes")) as run:
        handler = place("handle_interrupt", run.image)
        texts: list[str] = []
        while len(texts) < 3:
            run.until(handler)
            kernel = run.kernel()
            found = read_trap(kernel).syscall
            assert (found is not None) == (kernel.csr("scause") == FROM_USER)
            if found is not None:
                texts.append(found.shown)
                assert found.words == read_trap(kernel).context.x[10:16]  # type: ignore[union-attr]
        assert texts[0].startswith("syscall 64 write(fd=1, buf=0x10")
        assert texts[0].endswith(f'len={len(LINES[0]) + 1}) "{LINES[0]}\\n"')
        assert texts[1:] == ["syscall 1000 ticks()"] * 2
