"""The gdb client against programs that speak MI, badly or well."""

import os
import signal
import threading
from pathlib import Path

import pytest

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.mi import GdbError, Record, quote
from rcdbg.machine.gdb.program import find_gdb
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.stop import Stop

from .conftest import GdbFactory

REFUSE_ALL = """
def answer(token, command):
    say(token + '^error,msg="No such thing."')
"""

OBEDIENT = r"""
running = False
FRAME = 'frame={addr="0xffffffff80200000",func="main",args=[]},thread-id="1",stopped-threads="all"'

def answer(token, command):
    global running
    if command.startswith("-target-select"):
        say('*stopped,' + FRAME, token + '^connected')
    elif command.startswith("-data-list-register-names"):
        names = ["zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1"]
        names += ["a%d" % n for n in range(8)] + ["s%d" % n for n in range(2, 12)]
        names += ["t3", "t4", "t5", "t6", "pc", "", "satp", "sscratch", "priv"]
        say(token + '^done,register-names=[%s]' % ",".join('"%s"' % name for name in names))
    elif command.startswith("-data-list-register-values"):
        numbers = command.split(" x ")[1].split()
        rows = ['{number="%s",value="0x%x"}' % (n, int(n) * 16) for n in numbers if n != "35"]
        rows.append('{number="35",value="<unavailable>"}')
        say(token + '^done,register-values=[%s]' % ",".join(rows))
    elif command.startswith("-exec-continue"):
        running = True
        say(token + '^running', '*running,thread-id="all"')
    elif command == "-exec-interrupt":
        running = False
        say(token + '^done', '*stopped,reason="signal-received",signal-name="SIGINT",' + FRAME)
    elif command.startswith("-exec-step"):
        say(token + '^running', '*running,thread-id="all"')
        say('*stopped,reason="end-stepping-range",' + FRAME)
    elif command.startswith("-exec-finish"):
        say(token + '^error,msg="\\"finish\\" not meaningful in the outermost frame."')
    elif command.startswith("-exec-next "):
        say(token + '^running')
    elif command.startswith("-exec-next"):
        say(token + '^running', '*running,thread-id="all"')
        say('=thread-group-exited,id="i1",exit-code="05"')
    elif command.startswith("-interpreter-exec console"):
        text = command.split('"')[1]
        if text == "late":
            say(token + '^running', '*running,thread-id="all"')
            say('~"moving\\n"', '*stopped,reason="breakpoint-hit",bkptno="3",' + FRAME)
            say('~"\\342\\224\\202 after\\n"', '&"oh no\\n"', token + '^error,msg="oh no"')
        elif text == "raw":
            say("not MI at all", token + '^done')
        else:
            say('~"one\\n"', '&"two\\n"', '~"%s\\n"' % text, token + '^done')
    elif command.startswith("-silence"):
        pass
    elif command.startswith("-garbage"):
        say('*stopped,"', '99999^done', '^done,x={', "\ufffd\ufffd", token + '^done,value="1"')
    elif command.startswith("-die"):
        say("out of memory")
        os._exit(3)
    elif command.startswith("-data-read-memory-bytes 0x0 "):
        say(token + '^error,msg="Unable to read memory."')
    elif command.startswith("-data-read-memory-bytes"):
        say(token + '^done,memory=[{begin="0x10",offset="0x0",end="0x12",contents="beef"}]')
    else:
        say(token + '^done')
"""


def test_a_gdb_that_does_not_know_riscv_is_refused(fake_gdb: GdbFactory, tmp_path: Path) -> None:
    program = fake_gdb(REFUSE_ALL)
    for use in (find_gdb, Gdb):
        with pytest.raises(MachineError, match="no gdb that knows riscv:rv64"):
            use(program)
        with pytest.raises(MachineError, match="not an executable gdb"):
            use(str(tmp_path / "none"))


def test_without_any_gdb_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(MachineError, match="apt install gdb-multiarch"):
        find_gdb()


def test_results_go_to_who_asked(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        answers: list[bytes] = []
        askers = [
            threading.Thread(target=lambda: answers.append(gdb.data.read_memory(0x10, 2)))
            for _ in range(8)
        ]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(10)
        assert answers == [b"\xbe\xef"] * 8
        with pytest.raises(MemoryReadError, match="Unable to read memory"):
            gdb.data.read_memory(0, 8)


def test_garbage_between_records_is_passed_over(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        assert gdb.command("-garbage") == {"value": "1"}


def test_a_command_without_answer_has_a_deadline(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        with pytest.raises(DeadlineError, match="did not answer '-silence'"):
            gdb.command("-silence", timeout=0.05)
        assert gdb.command("-list-features") == {}


def test_a_command_in_two_lines_is_refused(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        with pytest.raises(GdbError, match="cannot span lines"):
            gdb.command("-list-features\n-gdb-exit")
        for text in ("commands 1", "define x", "python", "  if 1"):
            with pytest.raises(GdbError, match="needs more lines"):
                gdb.console_command(text)
        assert gdb.console_command("python print(1)").startswith("one")


def test_a_gdb_that_dies_fails_what_waits(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        with pytest.raises(GdbError, match="gdb has ended: out of memory"):
            gdb.command("-die")
        for use in (gdb.resume, gdb.registers, lambda: gdb.wait_stop(5), gdb.interrupt):
            try:
                use()
            except GdbError:
                continue
            assert use == gdb.interrupt


def test_a_gdb_that_is_killed_fails_a_waiter(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        gdb.connect(Path("/fake.sock"))
        gdb.resume()
        killer = threading.Timer(0.01, os.kill, (gdb.pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(GdbError, match="gdb has ended"):
            gdb.wait_stop(10)
        killer.join()


def test_running_and_stopping(fake_gdb: GdbFactory) -> None:
    pc = 0xFFFFFFFF80200000
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        assert gdb.connect(Path("/fake.sock")) == Stop("interrupt", pc)
        gdb.resume()
        assert gdb.running
        with pytest.raises(DeadlineError):
            gdb.wait_stop(0.01)
        gdb.interrupt()
        assert gdb.wait_stop(10) == Stop("interrupt", pc, signal=2)
        gdb.step("instruction")
        assert gdb.wait_stop(10) == Stop("step", pc, signal=5)
        with pytest.raises(GdbError, match="outermost frame"):
            gdb.step("out")
        assert gdb.wait_stop(0).reason == "step"
        gdb.step("over_line")
        assert gdb.wait_stop(10) == Stop("exited", exit_status=5)


def test_registers_are_asked_for_by_number(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        with pytest.raises(GdbError, match="not connected"):
            gdb.registers()
        gdb.connect(Path("/fake.sock"))
        registers = gdb.registers()
    assert registers.x == tuple(range(0, 512, 16))
    assert registers.pc == 32 * 16
    assert registers.csrs == {"satp": 34 * 16}
    assert registers.privilege == 36 * 16 & 3


def test_console_output_is_collected(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        assert gdb.console_command("bt") == "one\ntwo\nbt\n"
        assert gdb.console_command("raw") == "not MI at all\n"
        # A failure after `^running` comes as a second result of the same command.
        with pytest.raises(GdbError, match="oh no") as caught:
            gdb.console_command("late")
        assert caught.value.output == "moving\n│ after\noh no\n"
        assert gdb.wait_stop(0) == Stop("breakpoint", 0xFFFFFFFF80200000, 3, 5)


def test_listeners_hear_all_and_may_not_ask(fake_gdb: GdbFactory) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb:
        heard: list[Record] = []
        refusals: list[str] = []

        def ask(_: Record) -> None:
            try:
                gdb.command("-list-features")
            except GdbError as error:
                refusals.append(str(error))

        stop_hearing = gdb.subscribe(heard.append)
        stop_asking = gdb.subscribe(ask)
        gdb.console_command("x")
        stop_asking()
        stop_hearing()
        gdb.console_command("y")
    texts = [record.payload for record in heard if record.kind in ("console", "log")]
    assert texts == ["one\n", "two\n", "x\n"]
    assert len(refusals) >= len(texts)
    assert "another thread" in refusals[0]


def test_a_script_that_is_not_there(fake_gdb: GdbFactory, tmp_path: Path) -> None:
    with Gdb(fake_gdb(OBEDIENT)) as gdb, pytest.raises(MachineError, match="no gdb script at"):
        gdb.source_commands(tmp_path / "none.gdb")


def test_strings_are_quoted_for_mi() -> None:
    assert quote('a "b" \\ c') == r'"a \"b\" \\ c"'
