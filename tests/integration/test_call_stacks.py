"""Call stacks: rcdbg's own unwinder against both gdbs', and parked threads shown in gdb."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rcdbg.image.elf import Image
from rcdbg.kernels.description import Description
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Backtrace, Context
from rcdbg.model.threads.call_stacks import read_call_stacks, read_hart_stack, read_threads
from rcdbg.model.threads.unwind import backtrace_now
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached
from tests.support.in_gdb import PIP_GDB, InGdb
from tests.support.names import last_part
from tests.support.sleepers import sleepers_at_a_tick

pytestmark = pytest.mark.every_kernel

MARK = "stack-of"


@pytest.fixture
def walker(tmp_path: Path) -> str:
    """A gdb command that prints the pc of every stack frame, inlined ones left out."""
    script = tmp_path / "walk.py"
    script.write_text(
        "import gdb\n"
        "class Walk(gdb.Command):\n"
        "    def __init__(self): super().__init__('walk-stack', gdb.COMMAND_USER)\n"
        "    def invoke(self, words, tty):\n"
        "        frame, seen = gdb.newest_frame(), []\n"
        "        while frame is not None:\n"
        "            if frame.type() != gdb.INLINE_FRAME:\n"
        "                seen.append(hex(frame.pc()))\n"
        "            frame = frame.older()\n"
        "        print('stack-of', words, *seen)\n"
        "        frame = gdb.newest_frame()\n"
        "        while frame is not None:\n"
        "            line = frame.find_sal().line\n"
        "            inlined = frame.type() == gdb.INLINE_FRAME\n"
        "            print('named', words, int(inlined), line, frame.name())\n"
        "            frame = frame.older()\n"
        "Walk()\n"
    )
    return f"source {script}"


def stacks_in(text: str) -> dict[str, list[int]]:
    """What `walk-stack NAME` printed, by name."""
    found = {}
    for line in text.splitlines():
        word, *rest = line.split(" ")
        if word == MARK:
            found[rest[0]] = [int(pc, 16) for pc in rest[1:]]
    return found


Call = tuple[str, bool, int]
"""A function's own name, whether it is inlined, and its line, or 0."""


def calls_in(text: str) -> dict[str, list[Call]]:
    """The stack frames that `walk-stack NAME` printed, inlined ones too, by name."""
    found: dict[str, list[Call]] = {}
    for who, inlined, line, name in re.findall(r"^named (\S+) ([01]) (\d+) (.*)$", text, re.M):
        found.setdefault(who, []).append((last_part(name), inlined == "1", int(line)))
    return found


def calls(stack: Backtrace) -> list[Call]:
    return [(last_part(f.pc.symbol or "None"), f.is_inlined, f.pc.line or 0) for f in stack.frames]


def pcs(stack: Backtrace) -> list[int]:
    assert stack.problems == ()
    return [frame.pc.address for frame in stack.frames if not frame.is_inlined]


def load_context(context: Context) -> list[str]:
    """gdb commands that put a Context into the hart's registers: of a throw-away machine."""
    names = ["fp" if name == "s0" else name for name in ABI_NAMES]
    sets = [f"set ${n} = {v}" for n, v in zip(names[1:], context.x[1:], strict=True)]
    return ["set language c", *sets, f"set $pc = {context.sepc.address}"]


def test_the_same_stacks_as_gdb_finds(gdb: str, rcdbg_boot: BootKernel, walker: str) -> None:
    """The hart's, through the trap; and each parked thread's, its registers put into the hart."""
    run = sleepers_at_a_tick(rcdbg_boot)
    run.until(reached("set_next_timeout"))
    kernel = run.kernel()
    hart = pcs(read_hart_stack(kernel).backtrace)
    stacks = {s.thread.id: s for s in read_call_stacks(kernel).stacks}
    parked = {n: s for n, s in stacks.items() if s.thread.context is not None}
    assert len(parked) >= 4
    commands = [walker, "walk-stack hart"]
    for number, stack in parked.items():
        assert stack.thread.context is not None
        commands += [*load_context(stack.thread.context), f"walk-stack {number}"]
    said = stacks_in(InGdb(gdb, run)(*commands))
    expected = {"hart": hart}
    for number, stack in parked.items():
        assert stack.backtrace is not None
        expected[str(number)] = pcs(stack.backtrace)
    assert said == expected
    # One that has never run yet has only its function and where that returns to.
    assert min(map(len, expected.values())) >= 2
    assert max(map(len, expected.values())) >= 3


def test_parked_threads_in_gdb(gdb: str, rcdbg_boot: BootKernel, walker: str) -> None:
    """`rc thread N frame 0` gives gdb the same stack, and no register is written."""
    run = sleepers_at_a_tick(rcdbg_boot)
    kernel = run.kernel()
    stacks = {s.thread.id: s for s in read_call_stacks(kernel).stacks if s.thread.context}
    before = kernel.registers
    commands = [walker]
    for number in stacks:
        commands += [f"rc thread {number} frame 0", f"walk-stack {number}", "rc thread off"]
    said = stacks_in(InGdb(gdb, run)(*commands, "walk-stack hart"))
    for number, stack in stacks.items():
        assert stack.backtrace is not None
        expected = pcs(stack.backtrace)
        assert said[str(number)][-len(expected) :] == expected
        # Before them come the hart and the trap frame that leads to the thread, nothing else.
        assert len(said[str(number)]) == len(expected) + 2
    assert said["hart"] == pcs(backtrace_now(kernel))
    assert before.pc == said["hart"][0]


def bottomless(stack: list[Call]) -> list[Call]:
    """Without where a thread's function returns to, which gdb calls by the symbol before it."""
    return (
        stack[:-1] if stack and stack[-1][0] in ("kernel_thread_exit", "__thread_bottom") else stack
    )


def compare(ours: list[Call], theirs: list[Call]) -> None:
    """Equal, except that gdb gives a line to code to which the line table gives line 0."""
    assert [call[:2] for call in ours] == [call[:2] for call in theirs]
    lines = [(own, line) for (*_, own), (*_, line) in zip(ours, theirs, strict=True)]
    assert lines[0][0] in (lines[0][1], 0)
    assert all(own == line for own, line in lines[1:])


def test_inlined_calls_are_stack_frames_as_in_gdb(
    gdb: str, rcdbg_boot: BootKernel, walker: str
) -> None:
    """Names, order, lines; for the hart in the middle of a handler, and for parked threads."""
    run = sleepers_at_a_tick(rcdbg_boot)
    run.until(reached("set_next_timeout"))
    kernel = run.kernel()
    parked = [s for s in read_call_stacks(kernel).stacks if s.thread.context]
    stacks = {str(s.thread.id): s.backtrace for s in parked}
    commands = [walker, "walk-stack hart"]
    for number in stacks:
        commands += [f"rc thread {number} frame 0", f"walk-stack {number}", "rc thread off"]
    said = calls_in(InGdb(gdb, run)(*commands))
    for name, stack in (("hart", read_hart_stack(kernel).backtrace), *stacks.items()):
        assert stack is not None
        ours, theirs = bottomless(calls(stack)), bottomless(said[name])
        assert ours
        compare(ours, theirs[-len(ours) :])
        assert len(theirs) == len(ours) or name != "hart"


class AmidInlinedCalls:
    """Until the hart is in the middle of code that is inlined twice or deeper."""

    def __init__(self, image: Image) -> None:
        self._places = list(self._of(image))

    def _of(self, image: Image) -> Iterator[int]:
        for function in image.functions:
            address, end, outer = function.address, function.address + function.size, None
            while address < end:
                inner = image.functions.inlined_at(address)
                # Where inlined code starts, gdb stands before its call.
                if len(inner) >= 2 and inner == outer:
                    yield address
                    break
                outer = inner
                first = image.read(address, 1) or b"\0"
                address += 4 if first[0] & 3 == 3 else 2

    def places(self, image: Image, description: Description) -> Sequence[int]:
        return self._places

    def happened(self, kernel: Kernel) -> bool:
        return True


@pytest.mark.parametrize("stops", [1, 40])
def test_the_hart_amid_inlined_calls(
    gdb: str, rcdbg_boot: BootKernel, walker: str, stops: int
) -> None:
    """What gdb says of the hart; and `rc thread` leads past all of it to a parked thread."""
    run = sleepers_at_a_tick(rcdbg_boot)
    event = AmidInlinedCalls(run.image)
    for _ in range(stops):
        run.until(event)
    kernel = run.kernel()
    hart = calls(read_hart_stack(kernel).backtrace)
    assert sum(is_inlined for _, is_inlined, _ in hart) >= 2
    thread = next(s for s in read_call_stacks(kernel).stacks if s.thread.context)
    assert thread.backtrace is not None
    called = InGdb(gdb, run).call(  # it complains that it has no source of Rust's library
        walker, "walk-stack hart", f"rc thread {thread.thread.id} frame 0", "walk-stack parked",
        'printf "first %lx\\n", $pc',
    )  # fmt: skip
    text = called.stdout
    said = calls_in(text)
    compare(bottomless(hart), bottomless(said["hart"]))
    parked = bottomless(calls(thread.backtrace))
    compare(parked, bottomless(said["parked"])[-len(parked) :])
    assert f"first {thread.backtrace.frames[0].pc.address:x}" in text
    assert stacks_in(text)["parked"][-len(pcs(thread.backtrace)) :] == pcs(thread.backtrace)


def test_backtrace_and_frame_of_a_parked_thread(gdb: str, rcdbg_boot: BootKernel) -> None:
    run = sleepers_at_a_tick(rcdbg_boot)
    stack = next(s for s in read_call_stacks(run.kernel()).stacks if s.thread.status == "sleeping")
    number, context = stack.thread.id, stack.thread.context
    assert context is not None
    assert stack.backtrace is not None
    outer = len(stack.backtrace.frames) - 2
    first = stack.backtrace.frames[outer].pc
    text = InGdb(gdb, run)(
        "info registers",
        'printf "begin\\n"',
        f"rc thread {number} bt",
        'printf "end %lx\\n", $pc',
        f"rc thread {number} frame 0",
        'printf "parked %lx %lx %lx\\n", $pc, $sp, $s11',
        f"rc thread {number} bt 1",
        'printf "still %lx\\n", $sp',
        "rc thread off",
        'printf "hart %lx\\n", $pc',
    )
    listing = text.split("begin\n")[1].split("end ")[0]
    levels = [int(n) for n in re.findall(r"^#(\d+) ", listing, re.MULTILINE)]
    assert levels == list(range(len(levels)))
    assert len(levels) >= outer + 2  # gdb lists inlined calls as well
    assert "signal handler" not in listing
    assert f"{first.address:x} in " in listing
    assert (first.symbol or "").rsplit("::", 1)[-1] in listing
    pc = run.image.symbols.address_of("handle_interrupt")
    assert f"end {pc:x}" in text, "the backtrace leaves gdb's selection as it was"
    expected = f"parked {context.sepc.address:x} {context.x[2]:x} {context.x[27]:x}"
    assert expected in text
    assert f"still {context.x[2]:x}" in text
    assert f"hart {pc:x}" in text


def test_letting_the_hart_run_leaves_the_thread(gdb: str, rcdbg_boot: BootKernel) -> None:
    run = sleepers_at_a_tick(rcdbg_boot)
    thread = read_threads(run.kernel()).sleeping[0]
    assert thread.context is not None
    text = InGdb(gdb, run)(
        "break handle_interrupt",
        f"rc thread {thread.id} frame 1",
        "continue",
        'printf "hart %lx\\n", $pc',
        "bt 3",
    )
    pc = run.image.symbols.address_of("handle_interrupt")
    hart = re.search(r"^hart ([0-9a-f]+)$", text, re.MULTILINE)
    assert hart is not None
    assert pc is not None
    assert 0 <= int(hart[1], 16) - pc < 64
    assert "<signal handler called>" in text


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("rc thread", "wants a thread's id"),
        ("rc thread nonsense", "wants a thread's id"),
        ("rc thread 99", "no thread 99: there are"),
        ("rc thread 99 bt", "no thread 99: there are"),
        ("rc thread 1 nonsense", "nonsense"),
        ("rc thread 1 bt nonsense", "nonsense"),
        ("rc thread 1 frame 99", "no stack frame 99"),
        ("rc profile", "wants a file"),
        ("rc profile /nonexistent.toml", "cannot read the profile"),
    ],
)
def test_wrong_thread_commands_get_one_clear_line(
    rcdbg_boot: BootKernel, command: str, words: str
) -> None:
    assert words in InGdb(PIP_GDB, sleepers_at_a_tick(rcdbg_boot)).refused(command)
