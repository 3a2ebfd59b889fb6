"""Running from trap to trap: the witnesses are QEMU's monitor and what the kernel prints."""

import re

import pytest

from rcdbg.riscv.code import SRET
from rcdbg.trace.conditions import reached
from tests.integration.gdb.conftest import Start
from tests.integration.gdb.talk import WHERE, contexts, entry, goes_on_with, registers_of, said, say
from tests.support.dump import parse_dump
from tests.support.in_gdb import InGdb, documents


@pytest.mark.every_kernel
def test_next_trap_stands_where_qemu_says(start: Start) -> None:
    in_gdb = start("preempt", "interval=20000")
    text = in_gdb("rc next-trap --json", "monitor info registers", "rc next-trap timer --json",
                  "monitor info registers", "maint info breakpoints")  # fmt: skip
    handler = in_gdb.run.image.symbols.address_of("handle_interrupt")
    traps, qemu = documents(text), registers_of(text)
    assert len(traps) == len(qemu) == 2
    for document, registers in zip(traps, qemu, strict=True):
        stop = document["stop"]
        assert registers["pc"] == handler
        assert stop["cause"] == "supervisor timer interrupt"
        assert registers["scause"] == 1 << 63 | 5
        assert stop["sepc"] == f"{registers['sepc']:#x}"
    assert "No breakpoints" in text


@pytest.mark.every_kernel
def test_next_trap_by_cause(start: Start) -> None:
    """Timer interrupts before it are gone over; the kernel says itself where its ebreak is."""
    in_gdb = start("breakpoint", "interval=20000")
    text = in_gdb("rc next-trap breakpoint --json", say("scause", "$scause"))
    (document,) = documents(text)
    assert said(text, "scause") == [3]
    in_gdb.run.qemu.console.wait_for("Breakpoint at ", 30)
    in_gdb.run.qemu.console.wait_for("\n", 30)
    first = re.search(r"Breakpoint at (0x[0-9a-f]+)", in_gdb.run.console)
    assert first is not None
    assert document["stop"]["sepc"] == first[1]


@pytest.mark.every_kernel
def test_until_sret_restores_every_register_of_the_context(ticked: InGdb) -> None:
    """Whichever thread's turn it is: what was in memory is then in the hart."""
    expected = contexts(ticked)
    text = ticked("rc until-sret", *WHERE, "maint info breakpoints")
    ((number,), (registers,)) = (said(text, "id"), registers_of(text))
    assert goes_on_with(registers, expected[number])
    assert "No breakpoints" in text


@pytest.mark.every_kernel
def test_until_sret_outside_of_a_trap_is_the_end_of_the_next(ticked: InGdb) -> None:
    stacks = {t.id: t.stack for t in ticked.run.state().processor.threads}
    text = ticked(*["rc until-sret", *WHERE] * 3)
    for number, registers in zip(said(text, "id"), registers_of(text), strict=True):
        stack = stacks[number]
        assert stack is not None
        assert registers["sp"] in stack
        assert registers["pc"] == registers["sepc"]


@pytest.mark.every_kernel
def test_until_sret_at_the_sret(ticked: InGdb) -> None:
    expected = contexts(ticked)
    ticked.run.until(reached("__restore"))
    for _ in range(64):
        kernel = ticked.run.kernel()
        if kernel.memory.read(kernel.registers.pc, 4) == SRET.to_bytes(4, "little"):
            break
        ticked.run.stub.step()
    text = ticked("rc until-sret", *WHERE)
    ((number,), (registers,)) = (said(text, "id"), registers_of(text))
    assert goes_on_with(registers, expected[number])


@pytest.mark.every_kernel
def test_next_switch_goes_in_the_order_of_the_kernels_greetings(start: Start) -> None:
    in_gdb = start("threads", "threads=8 interval=1000000000")  # no timer
    text = in_gdb(*["rc next-switch --json"] * 8, "maint info breakpoints")
    switches = [d["stop"]["to"] for d in documents(text)]
    in_gdb.run.qemu.wait(30)  # disconnected, it runs to its end
    greeted = [int(n) for n in re.findall(r"hello from kernel thread (\d+)", in_gdb.run.console)]
    assert switches == greeted
    assert len(greeted) == 8
    assert "No breakpoints" in text


@pytest.mark.every_kernel
def test_next_switch_to_one_and_the_dump_of_the_kernel(start: Start) -> None:
    """The thread that the kernel says was interrupted at tick 6 is the one that was let in."""
    in_gdb = start("preempt", "dump=6 interval=200000", ticks=5)
    text = in_gdb("rc next-switch --json")
    in_gdb.run.qemu.console.wait_for("[dump] end", 30)
    dump = parse_dump(in_gdb.run.console)
    assert dump.current is not None
    assert documents(text)[0]["stop"]["to"] == dump.current["id"]


@pytest.mark.every_kernel
def test_next_switch_to(ticked: InGdb) -> None:
    last = ticked.run.state().processor.ready[-1].id
    text = ticked(f"rc next-switch to {last}", say("id", "$rc_current().id"))
    assert said(text, "id") == [last]
    assert f"rcdbg: thread {last} goes on" in text


def test_another_breakpoint_comes_first(ticked: InGdb) -> None:
    text = ticked(f"break *{entry(ticked)}", "rc next-trap", say("pc", "$pc"), "info breakpoints",
                  "delete", "maint info breakpoints")  # fmt: skip
    assert "did not come first" in text
    assert said(text, "pc") == [entry(ticked)]
    assert "breakpoint already hit 1 time" in text
    assert "No breakpoints" in text


def test_the_machine_ends_first(start: Start) -> None:
    done = start("threads").call('rc next-trap "load page fault"', "rc threads")
    assert "did not come first: the machine has ended" in done.stdout
    assert "not connected" in done.stderr


@pytest.mark.every_kernel
def test_step_irq(ticked: InGdb) -> None:
    """At a thread's first instruction, with a software interrupt pending: a step enters the trap.

    Or it does not, as long as QEMU masks interrupts.
    """
    pend = ("set $sie = 0x22", "set $sip = 2", "stepi", say("pc", "$pc"))
    text = ticked("rc step-irq", "rc until-sret", *pend, "rc step-irq on --json", "stepi",
                  say("pc", "$pc"), "rc step-irq off --json")  # fmt: skip
    assert "stepi masks interrupts" in text
    assert [d["step_irq"]["taken"] for d in documents(text)] == [True, False]
    masked, taken = said(text, "pc")
    assert masked != entry(ticked)
    assert taken == entry(ticked)


WRONG = [
    ("rc next-trap nonsense", "nonsense"),
    ("rc next-trap --nonsense", "no option --nonsense"),
    ("rc next-switch 3", "to ID"),
    ("rc next-switch to x", "to ID"),
    ("rc until-sret 3", "takes no '3'"),
    ("rc step-irq maybe", "on or off"),
    ("p $rc_thread(99)", "no thread 99; there are"),
    ("p $rc_context(99)", "no thread 99"),
    ("p $rc_pa(0x123)", "is not mapped"),
    ("p $rc_pa(1, 2)", "it is $rc_pa(VA)"),
    ("p $rc_pa(b\"x\")", "is no number"),
    ("p $rc_va(1)", "no virtual address"),
    ("p $rc_field($rc_current(), b\"nonsense\")", "no field 'nonsense'"),
    ("p $rc_field($rc_current(), 1)", "is a text"),
]  # fmt: skip


def test_what_is_wrong_is_said_in_one_line(ticked: InGdb) -> None:
    done = ticked.call(*(command for command, _ in WRONG))
    lines = done.stderr.splitlines()
    assert len(lines) == len(WRONG), done.stderr
    for line, (command, words) in zip(lines, WRONG, strict=True):
        assert line.startswith("rcdbg: "), command
        assert words in line, command


def test_while_the_kernel_runs(ticked: InGdb) -> None:
    commands = ("rc threads", "rc walk 0", "rc next-trap", "rc until-sret", "rc step-irq",
                "p $rc_pa(0)", "p $rc_current()")  # fmt: skip
    done = ticked.call("continue &", *commands)
    said_so = done.stderr.splitlines().count("rcdbg: the kernel runs: interrupt it first")
    assert said_so == len(commands)
