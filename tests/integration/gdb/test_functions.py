"""Functions for gdb's expressions, and that every answer is one of now."""

import json
import re
from pathlib import Path

import pytest

from rcdbg.machine.qemu.monitor import Monitor
from tests.integration.gdb.conftest import Start
from tests.integration.gdb.talk import registers_of, said, say
from tests.support.dump import parse_dump
from tests.support.in_gdb import InGdb, documents
from tests.support.qemu_account import parse_info_mem


@pytest.mark.every_kernel
def test_pa_and_va_are_qemus(ticked: InGdb) -> None:
    with Monitor(ticked.run.qemu.qmp_socket) as monitor:
        theirs = parse_info_mem(monitor.hmp("info mem"))
    middle = [(r.va + (r.size // 2 & ~7), r.pa + (r.size // 2 & ~7)) for r in theirs]
    commands = [say("pa", f"$rc_pa({va:#x})") for va, _ in middle]
    commands += [say("va", f"$rc_va({pa:#x})") for _, pa in middle]
    text = ticked(*commands)
    assert said(text, "pa") == [pa for _, pa in middle]
    lowest = [min(r.va + pa - r.pa for r in theirs if r.pa <= pa < r.pa + r.size)
              for _, pa in middle]  # fmt: skip
    assert said(text, "va") == lowest
    assert len(middle) > 5


@pytest.mark.every_kernel
def test_functions_give_values_that_gdb_goes_on_with(start: Start) -> None:
    """Against the kernel's own dump, which it prints in this very handler."""
    in_gdb = start("preempt", "threads=4 dump=4 interval=200000", ticks=4)
    ready = [t.id for t in in_gdb.run.state().processor.ready]
    commands = [say("ticks", "$rc_ticks()"), say("current", "$rc_current().id")]
    commands += [say("start", "$rc_current().stack.start.__0"), say("trap", "$rc_context().sepc")]
    for number in ready:
        commands += [
            say("id", f"(*$rc_thread({number})).id"),
            say("sepc", f"$rc_context({number}).sepc"),
            say("ra", f'$rc_field($rc_field($rc_thread({number}), b"context"), b"x")[1]'),
            say("dead", f'$rc_field($rc_thread({number}), b"dead")'),
        ]
    text = in_gdb(*commands)
    in_gdb.run.qemu.console.wait_for("[dump] end", 30)
    dump = parse_dump(in_gdb.run.console)
    assert dump.current is not None
    assert dump.trap is not None
    assert said(text, "ticks") == [dump.tick - 1], "this handler has not counted yet"
    assert said(text, "current") == [dump.current["id"]]
    assert said(text, "start") == [dump.current["stack"][0]]
    assert said(text, "trap") == [dump.trap["sepc"]]
    assert said(text, "id") == [r["id"] for r in dump.ready]
    assert said(text, "sepc") == [dump.parked[i]["sepc"] for i in ready if i is not None]
    assert said(text, "ra") == [dump.parked[i]["x"][1] for i in ready if i is not None]
    assert said(text, "dead") == [int(r["dead"]) for r in dump.ready]


@pytest.mark.every_kernel
def test_a_function_in_a_breakpoints_condition(start: Start) -> None:
    in_gdb = start("preempt", "interval=20000")
    text = in_gdb("break *&handle_interrupt if $rc_ticks() == 7", "continue",
                  say("ticks", "$rc_ticks()"), "maint info breakpoints")  # fmt: skip
    assert said(text, "ticks") == [7]
    assert "breakpoint already hit 1 time" in text


@pytest.mark.every_kernel
def test_after_any_change_the_answers_are_new(ticked: InGdb) -> None:
    thread = ticked.run.state().processor.current
    assert thread is not None
    ask = "rc threads --json"
    number = say("id", "$rc_current().id")
    text = ticked(
        *(ask, number, "set var $rc_current().id = 77", ask, number),
        *("stepi", "rc all --json", "stepi", "rc all --json"),
        *("set var $sscratch = 0x1230", "rc all --json"),
        *("disconnect", ticked.connect, "rc all --json"),
        *("monitor system_reset", "rc all --json", "monitor info registers"),
    )
    assert said(text, "id") == [thread.id, 77]
    every = documents(text)
    running = [d["threads"]["current"] for d in every if "threads" in d]
    assert [t["id"] for t in running if isinstance(t, dict)] == [thread.id, 77]
    harts = [d["state"]["hart"] for d in every if "state" in d]
    assert harts[0] != harts[1], "after stepi"
    assert "0x1230" in json.dumps(harts[2]), "after set var of a register"
    assert harts[3] == harts[2], "after a new connection"
    (qemu,) = registers_of(text)
    assert f"{qemu['pc']:#x}" in json.dumps(harts[4]), "after a reset behind gdb's back"
    assert harts[4] != harts[3]


def test_after_another_file_the_answers_are_new(ticked: InGdb, tmp_path: Path) -> None:
    mine = bytes.fromhex(ticked.run.image.build_id or "")
    other = tmp_path / "other"
    other.write_bytes(ticked.elf.read_bytes().replace(mine, mine[::-1]))
    done = ticked.call("rc threads", f"file {other}", "rc threads", f"file {ticked.elf}",
                       "p $rc_current().id")  # fmt: skip
    assert done.stderr.count("is not the kernel that runs") == 1
    assert re.search(r"^\$1 = \d+$", done.stdout, re.MULTILINE)
