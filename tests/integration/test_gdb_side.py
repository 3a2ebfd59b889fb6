"""What rcdbg adds to gdb beside its views: stepping, functions, printers; in both gdbs.

Witnesses: QEMU's monitor, what the kernel prints, and gdb's own raw printing (`/r`).
"""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.mi import GdbError
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.model.state import Context
from rcdbg.model.threads.trap import kernel_stack
from rcdbg.riscv.code import SRET
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.subjects.table import SUBJECTS
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached, trap
from rcdbg.trace.run import Boot
from tests.support.dump import parse_dump
from tests.support.in_gdb import SCRIPT, TIMEOUT, InGdb, batch, documents
from tests.support.qemu_account import parse_info_mem

MASK64 = (1 << 64) - 1

COMMANDS = ("next-trap", "until-sret", "next-switch", "step-irq", "trace", "walk",
            *(s.name for s in SUBJECTS))  # fmt: skip
FUNCTIONS = ("rc_pa", "rc_va", "rc_thread", "rc_current", "rc_context", "rc_ticks", "rc_field")


Start = Callable[..., InGdb]


@pytest.fixture
def start(gdb: str, rcdbg_boot: BootKernel) -> Start:
    """Boots a scenario; the kernel then stands before its first instruction, or at a tick."""

    def boot(scenario: str, append: str = "", ticks: int = 0) -> InGdb:
        run = rcdbg_boot(scenario, append)
        for _ in range(ticks):
            run.until(trap("timer"))
        return InGdb(gdb, run.machine, last="detach")

    return boot


@pytest.fixture
def ticked(start: Start) -> InGdb:
    """Three threads that are preempted, at the third tick."""
    return start("preempt", "interval=20000", ticks=3)


def entry(in_gdb: InGdb) -> int | None:
    return in_gdb.run.image.symbols.address_of("__interrupt")


def say(name: str, expression: str) -> str:
    """A gdb command that prints the number which an expression is."""
    value = f"int(gdb.parse_and_eval({expression!r})) & {MASK64:#x}"
    return f"python print('@{name}=%#x' % ({value}))"


def said(text: str, name: str) -> list[int]:
    return [int(number, 16) for number in re.findall(rf"@{name}=(0x[0-9a-f]+)", text)]


def registers_of(text: str) -> list[dict[str, int]]:
    """Each `monitor info registers` in the text."""
    return [parse_info_registers(" pc " + part) for part in re.split(r"\n ?pc ", text)[1:]]


# Help and completion


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
    )
    text = batch(gdb, f"source {SCRIPT}", *(f"complete {a}" for a in asked)).stdout
    assert text.splitlines() == [
        *("rc next-switch", "rc next-trap", "rc next-trap load page fault", "rc next-trap --json"),
        *("rc step-irq off", "rc step-irq on", "rc next-switch to"),
    ]


def test_sourcing_imports_no_decoder(gdb: str) -> None:
    """`source` is quick because rich, pyelftools and the decoders wait for the first command."""
    heavy = ("rich", "elftools", "rcdbg.image", "rcdbg.model", "rcdbg.views")
    report = f"python import sys; print([m for m in {heavy!r} if m in sys.modules])"
    assert batch(gdb, f"source {SCRIPT}", report).stdout.strip() == "[]"


# The ABI that gdb steps by


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


# Stepping


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


def contexts(in_gdb: InGdb) -> dict[int, Context]:
    """What each thread goes on with, from memory, with the kernel at the start of its handler."""
    state = in_gdb.run.state()
    found = {t.id: t.context for t in state.processor.ready}
    if state.processor.current is not None:
        found[state.processor.current.id] = state.trap.context
    return {i: context for i, context in found.items() if i is not None and context is not None}


def goes_on_with(registers: dict[str, int], context: Context) -> bool:
    """Whether QEMU has in the hart what the Context has in memory."""
    return (registers["pc"], *(registers[name] for name in ABI_NAMES)) == (
        context.sepc.address,
        *context.x,
    )


WHERE = (say("id", "$rc_current().id"), "monitor info registers")


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


# Has a software interrupt come in the handler. The kernel would give up then: so its handler is
# passed over, and the inner trap's Context is restored at once.
NESTED = """
import gdb

class Nested(gdb.Breakpoint):
    inner = 0

    def stop(self):
        sp = int(gdb.parse_and_eval("$sp")) & (1 << 64) - 1
        if {start:#x} <= sp < {end:#x}:
            if not Nested.inner:
                pend()
            return False
        Nested.inner += 1
        gdb.execute("set $sip = 0")
        # SPIE: the outer handler goes on without interrupts.
        word = int(gdb.parse_and_eval("$a0")) + 32 * 8
        memory = gdb.selected_inferior()
        sstatus = int.from_bytes(bytes(memory.read_memory(word, 8)), "little") & ~0x20
        memory.write_memory(word, sstatus.to_bytes(8, "little"))
        gdb.execute("set $pc = {restore:#x}")
        return {stops}

def pend():
    for register, value in (("sie", "2"), ("sip", "2"), ("sstatus", "$sstatus | 2")):
        gdb.execute(f"set ${{register}} = {{value}}")

Nested("*{handler:#x}", internal=True)
"""


def nest(in_gdb: InGdb, file: Path, *, stops: bool = False) -> str:
    """A gdb command that makes `pend()` known; it is called when the next handler starts, too."""
    stack = kernel_stack(in_gdb.run.kernel())
    handler, restore = (in_gdb.run.image.symbols.address_of(name)
                        for name in ("handle_interrupt", "__restore"))  # fmt: skip
    file.write_text(
        NESTED.format(
            start=stack.start, end=stack.end, handler=handler, restore=restore, stops=stops
        )
    )
    return f"source {file}"


INNER = "python print('@inner=%#x' % Nested.inner)"


@pytest.mark.every_kernel
def test_until_sret_goes_over_a_trap_inside_the_handler(ticked: InGdb, tmp_path: Path) -> None:
    expected = contexts(ticked)
    text = ticked(nest(ticked, tmp_path / "nest.py"), "python pend()", "rc until-sret", *WHERE,
                  INNER)  # fmt: skip
    assert said(text, "inner") == [1]
    ((number,), (registers,)) = (said(text, "id"), registers_of(text))
    assert goes_on_with(registers, expected[number])


@pytest.mark.every_kernel
def test_until_sret_goes_over_a_trap_inside_the_next_handler(ticked: InGdb, tmp_path: Path) -> None:
    stacks = {t.id: t.stack for t in ticked.run.state().processor.threads}
    script = nest(ticked, tmp_path / "nest.py")
    text = ticked("rc until-sret", script, "rc until-sret", *WHERE, INNER)
    assert said(text, "inner") == [1]
    ((number,), (registers,)) = (said(text, "id"), registers_of(text))
    stack = stacks[number]
    assert stack is not None
    assert registers["sp"] in stack
    assert registers["pc"] == registers["sepc"]


@pytest.mark.every_kernel
def test_until_sret_of_the_inner_trap(ticked: InGdb, tmp_path: Path) -> None:
    """It goes back into the outer handler; the next one ends that."""
    stack, expected = kernel_stack(ticked.run.kernel()), contexts(ticked)
    script = nest(ticked, tmp_path / "nest.py", stops=True)
    text = ticked(script, "python pend()", "continue", *["rc until-sret", *WHERE] * 2, INNER)
    assert said(text, "inner") == [1]
    handler, thread = registers_of(text)
    assert handler["sp"] in stack
    assert handler["pc"] == handler["sepc"]
    assert goes_on_with(thread, expected[said(text, "id")[1]])


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


# Behind the TUI


@pytest.fixture
def behind_mi(gdb: str, rcdbg_kernel: Path) -> Iterator[Gdb]:
    with Qemu(Boot(rcdbg_kernel, "scenario=preempt interval=20000").config()) as qemu:  # noqa: SIM117
        with Gdb(gdb) as client:
            client.connect(qemu, rcdbg_kernel)
            client.source_commands(SCRIPT)
            yield client


def test_behind_the_tui(behind_mi: Gdb) -> None:
    """gdb under MI with mi-async, as the TUI drives it: the same commands, also interrupted."""
    handler = behind_mi.data.evaluate("&handle_interrupt")
    assert "timer interrupt at" in behind_mi.console_command("rc next-trap")
    assert f"{behind_mi.registers().pc:#x}" in handler
    assert "rcdbg: back at" in behind_mi.console_command("rc until-sret")
    assert "gave way" in behind_mi.console_command("rc next-switch")
    (document,) = documents(behind_mi.console_command("rc next-switch to 1 --json"))
    assert document["stop"]["to"] == 1
    running = threading.Event()
    stop_listening = behind_mi.subscribe(
        lambda record: running.set() if record and record.message == "running" else None
    )

    def break_off() -> None:
        if running.wait(TIMEOUT):
            behind_mi.interrupt()

    other = threading.Thread(target=break_off)
    other.start()
    assert "did not come first" in behind_mi.console_command('rc next-trap "load page fault"')
    other.join(TIMEOUT)
    stop_listening()
    assert not behind_mi.running
    assert "No breakpoints" in behind_mi.console_command("maint info breakpoints")
    assert "timer interrupt at" in behind_mi.console_command("rc next-trap")
    behind_mi.resume()
    with pytest.raises(GdbError, match="interrupt it first"):
        behind_mi.command('-interpreter-exec console "rc next-trap"')
    behind_mi.interrupt()
    behind_mi.wait_stop(TIMEOUT)
    assert "timer interrupt at" in behind_mi.console_command("rc next-trap")


# Functions


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


# Answers are those of now


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


# Printers


def printed(text: str, name: str) -> list[str]:
    """What was printed after each `echo @NAME:`."""
    return re.findall(rf"@{name}:\$\d+ = (.*)", text)


def show(name: str, command: str) -> tuple[str, str]:
    return f"echo @{name}:", command


@pytest.mark.every_kernel
def test_printers_say_what_the_raw_values_are(ticked: InGdb) -> None:
    thread = ticked.run.state().processor.ready[0]
    assert thread.stack is not None
    one = f"$rc_thread({thread.id})"
    text = ticked(
        *show("address", f"p {one}.stack.start"),
        say("address", f"{one}.stack.start.__0"),
        *show("range", f"p {one}.stack"),
        *show("thread", f"p *{one}"),
        *show("raw", f"p/r {one}.stack"),
        *show("page", f'p $rc_field({one}, b"root_ppn")'),
        say("page", f'$rc_field({one}, b"root_ppn").__0'),
        *show("sstatus", f"p $rc_context({thread.id}).sstatus"),
        say("sstatus", f"$rc_context({thread.id}).sstatus.bits"),
        *show("context", f"p *$rc_context({thread.id})"),
        *show("lock", f"p {one}.inner"),
        "disable pretty-printer .* rcdbg;Range",
        *show("off", f"p {one}.stack"),
        "disable pretty-printer .* rcdbg",
        *show("off", f"p *{one}"),
    )
    start, end = thread.stack.start, thread.stack.end
    assert printed(text, "address") == [f"{said(text, 'address')[0]:#x}"] == [f"{start:#x}"]
    assert printed(text, "range") == [f"{start:#x}..{end:#x} ({end - start} bytes)"]
    (page,) = said(text, "page")
    assert printed(text, "page") == [f"page {page:#x} (at {page << 12:#x})"]
    (sstatus,) = said(text, "sstatus")
    (words,) = printed(text, "sstatus")
    assert words.startswith(f"{sstatus:#x} (")
    assert ("SPP=S" in words, "SPIE" in words) == (bool(sstatus >> 8 & 1), bool(sstatus >> 5 & 1))
    assert thread.context is not None
    (context,) = printed(text, "context")
    for name, value in zip(ABI_NAMES, thread.context.x, strict=True):
        assert re.search(rf"\b{name} = {value:#x}\b", context), name
    assert f"sepc = {thread.context.sepc.address:#x} <{thread.context.sepc.symbol}" in context
    (line,) = printed(text, "thread")
    assert line.startswith(f"thread {thread.id}, ready (place 0 in the queue), parked at ")
    (lock,) = printed(text, "lock")
    assert lock.startswith("not locked = {")
    assert "Range<" in printed(text, "raw")[0]
    assert [("Range<" in t or "Thread {" in t) for t in printed(text, "off")] == [True, True]


@pytest.mark.every_kernel
def test_the_flag_of_a_lock_is_the_one_in_memory(ticked: InGdb) -> None:
    flag = '$rc_field($rc_current(), b"lock")'
    text = ticked(
        *show("lock", "p $rc_current().inner"),
        f"python gdb.selected_inferior().write_memory(int(gdb.parse_and_eval('{flag}').address),"
        " b'\\x01')",
        *show("lock", "p $rc_current().inner"),
    )
    assert [line.split(" = {")[0] for line in printed(text, "lock")] == ["not locked", "locked"]


def test_page_table_entries_and_flags(ticked: InGdb) -> None:
    """Each entry on the way to $pc, against the walk."""
    kind = "os::memory::mapping::page_table_entry::PageTableEntry"
    flags = "os::memory::mapping::page_table_entry::Flags"
    walk = ticked.run.kernel()
    from rcdbg.model.memory.page_table import translate

    steps = translate(walk, walk.registers.pc).walk.steps
    # Frames are mapped at one distance above their physical address.
    offset = walk.symbol("handle_interrupt") or 0
    offset -= walk.image.physical(offset) or 0
    commands: list[str] = []
    for step in steps:
        commands += show("pte", f"p *({step.pte_address + offset:#x} as *const {kind})")
        commands += show("flags", f"p *({step.pte_address + offset:#x} as *const {flags})")
    text = ticked(*commands)
    assert len(steps) == 3
    for step, entry, words in zip(steps, printed(text, "pte"), printed(text, "flags"), strict=True):
        leads = "page at" if step.pte.leaf else "next table at"
        assert entry == f"{step.pte.bits:#x} ({leads} {step.pte.address:#x} {step.pte.flags})"
        assert words.startswith(f"{step.pte.bits & 0xFF:#x} (valid")
        assert ("executable" in words) == bool(step.pte.bits & 8)


HOLD_A_NUMBER = {
    "VirtualAddress": ("0xffffffff80200004", "0xffffffff80200004"),
    "PhysicalAddress": ("0x80200004", "0x80200004"),
    "VirtualPageNumber": ("0xffffffff80200", "page 0xffffffff80200 (at 0xffffffff80200000)"),
    "PhysicalPageNumber": ("0x80200", "page 0x80200 (at 0x80200000)"),
    "PageTableEntry": ("0x20080000", "0x20080000 (not valid)"),
    "Sstatus": ("0x120", "0x120 (SPIE SPP=S)"),
    "Scause": ("0x8000000000000005", "0x8000000000000005 (supervisor timer interrupt)"),
    "Satp": ("0x8000000000080a64", "0x8000000000080a64 (Sv39, root 0x80a64000)"),
    "Stvec": ("0xffffffff80200000", "0xffffffff80200000 (direct, base 0xffffffff80200000)"),
    "Sie": ("0x22", "0x22 (SSIE STIE)"),
    "Sip": ("0x20", "0x20 (STIP)"),
}
"""Types that hold one number: a number, and what is printed of it, by the specification."""

LOOSE = ("VirtualAddress",)
"""May have a symbol behind the number."""


@pytest.mark.every_kernel
def test_each_printer_of_a_number_says_what_gdb_reads_there(ticked: InGdb) -> None:
    """Below the stack pointer, where nothing else is; gdb itself reads the number back."""
    types = ticked.run.image.types
    known = {name: {types.type(i).name for i in types.types_named(name)} for name in HOLD_A_NUMBER}
    commands = ["set $at = $sp - 256"]
    for name, (number, _) in HOLD_A_NUMBER.items():
        word = int(number, 16).to_bytes(8, "little")
        commands.append("python gdb.selected_inferior().write_memory("
                        f"int(gdb.parse_and_eval('$at')), {word!r})")  # fmt: skip
        for path in sorted(known[name]):
            commands.append(say(name, "*($at as *const u64)"))
            commands += show(name, f"p *($at as *const {path})")
    text = ticked(*commands)
    seen = set()
    for name, (number, words) in HOLD_A_NUMBER.items():
        assert {f"{n:#x}" for n in said(text, name)} <= {number}
        for line in printed(text, name):
            seen.add(name)
            assert line.startswith(words), (name, line)
            assert line == words or name in LOOSE, (name, line)
    # A kernel has not each of the CSRs' types.
    assert seen >= {"VirtualAddress", "PhysicalAddress", "PhysicalPageNumber", "PageTableEntry",
                    "Sstatus"}  # fmt: skip


@pytest.mark.every_kernel
def test_printers_on_nonsense(ticked: InGdb) -> None:
    """Memory of all ones, memory of zeros, no memory: gdb prints something, and goes on."""
    types = ticked.run.image.types
    names = {types.type(i).name for name in ("Thread", "Context", "Sstatus", "ThreadInner")
             for i in types.types_named(name)}  # fmt: skip
    names = {name for name in names if name.startswith("os::") or "sstatus" in name}
    where = "(*$rc_current()).stack.start.__0"
    fill = ("python gdb.selected_inferior().write_memory("
            f"int(gdb.parse_and_eval('{where}')), {{}} * 4096)")  # fmt: skip
    commands = ["set $at = " + where]
    for byte in (b"\xff", b"\x00", b"\xa5"):
        commands.append(fill.format(repr(byte)))
        for name in sorted(names):
            commands += show("nonsense", f"p *($at as *const {name})")
    commands += [f"p *(0x123 as *const {name})" for name in sorted(names)]
    done = ticked.call(*commands, "p 4711")
    assert len(names) >= 3
    assert len(printed(done.stdout, "nonsense")) >= 3 * len(names) - 3, done.stderr
    assert "= 4711" in done.stdout
