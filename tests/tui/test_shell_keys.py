"""The keys and lines to type into do what they say, and never block or break the screen."""

import threading

import pytest

from rcdbg.errors import MachineError, UsageError
from rcdbg.tui.session import Listener
from rcdbg.tui.shell import Shell
from rcdbg.tui.widgets.panels import ConsolePanel, GdbPanel
from tests.tui.conftest import Desk, Sit
from tests.tui.fake import FakeSession
from tests.tui.screen import screen, send, settle, until, until_shown

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("key", "call", "words"),
    [
        ("s", "go(step_line)", "step done"),
        ("n", "go(next_line)", "step done"),
        ("i", "go(step_instruction)", "step done"),
        ("f", "go(finish)", "step done"),
        ("c", "go(resume)", "breakpoint 1 at handle_interrupt"),
        ("t", "go(next_trap)", "next trap: supervisor timer interrupt"),
        ("w", "write_snapshot", "written to os-threads-1.snap"),
        ("r", "restart", "reached handle_interrupt"),
    ],
)
async def test_keys(sit: Sit, key: str, call: str, words: str) -> None:
    async with sit() as desk:
        await desk.press(key)
        await desk.called(call)
        await until_shown(desk.pilot, "STOPPED", words)


async def test_the_next_thread_and_back(sit: Sit) -> None:
    """The titles of what is not the hart's say whose it is."""
    async with sit() as desk:
        await desk.press("T")
        await until_shown(desk.pilot, "Context  of thread 2", "Page table  of thread 2")
        await until_shown(desk.pilot, "the panels are of it")
        await desk.press("T")
        text = await until_shown(desk.pilot, "the panels are of the hart", "Context  of the trap")
        assert "of thread 2" not in text


async def test_everything_slow_is_done_in_one_thread_beside_the_screen(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.answers["p 1"] = "$1 = 1"
        await desk.press("s", "colon", *"p 1", "enter", "escape")
        await until_shown(desk.pilot, "$1 = 1")
        assert desk.session.thread_names == {"rcdbg-session"}


@pytest.mark.parametrize("key", ["x", "ctrl+c"])
async def test_a_running_kernel_is_interrupted(sit: Sit, key: str) -> None:
    async with sit() as desk:
        desk.session.hold = True
        await desk.press("c")
        await until_shown(desk.pilot, "RUNNING")
        await desk.press(key)
        await until_shown(desk.pilot, "STOPPED", "interrupted")
        assert desk.session.calls.count("interrupt") == 1


async def test_ctrl_c_never_ends_the_program(sit: Sit) -> None:
    async with sit() as desk:
        await desk.press("ctrl+c", "ctrl+c")
        await until_shown(desk.pilot, "the kernel stands already")
        assert desk.app.is_running
        assert "interrupt" not in desk.session.calls


async def test_keys_that_make_no_sense_while_it_runs_say_so(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.hold = True
        await desk.press("c")
        await until_shown(desk.pilot, "RUNNING")
        await desk.press("c", "t")
        await until_shown(desk.pilot, "the kernel runs: x interrupts it")
        assert desk.session.calls.count("go(resume)") == 1
        desk.session.stop("interrupted")
        await desk.stopped(2)


async def test_a_held_step_key_runs_one_step_ahead_and_no_more(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.hold = True
        await desk.press(*"ssss")
        await desk.called("go(step_line)")
        desk.session.stop("step done")
        await desk.stopped(2)
        await until(desk.pilot, lambda: desk.session.calls.count("go(step_line)") == 2)
        desk.session.stop("step done")
        await desk.stopped(3)
        await desk.pilot.pause()
        assert desk.session.calls.count("go(step_line)") == 2


async def test_breakpoint_by_symbol_with_completion(sit: Sit) -> None:
    async with sit(160, 48) as desk:
        await desk.press("b")
        await until_shown(desk.pilot, "Breakpoint at")
        await desk.press(*"alloc")
        await until_shown(desk.pilot, "▸ os::memory::frame::allocator::alloc")
        await desk.press("enter")
        await desk.called("add_breakpoint(os::memory::frame::allocator::alloc)")
        await until_shown(desk.pilot, "breakpoint 2 at os::memory")


@pytest.mark.parametrize("keys", [("b", *"spin", "enter"), ("colon", *"spin", "enter")])
async def test_what_is_typed_right_behind_a_key_goes_where_that_leads(
    sit: Sit, keys: tuple[str, ...]
) -> None:
    async with sit() as desk:
        desk.session.answers["spin"] = "round"
        for key in keys:
            send(desk.app, key)
        call = {"b": "add_breakpoint(spin)", "colon": "console_command(spin)"}[keys[0]]
        await desk.called(call)
        assert not any(made.startswith("go(") for made in desk.session.calls)


async def test_keys_of_the_panels_are_letters_in_a_line(sit: Sit) -> None:
    async with sit() as desk:
        await desk.press("colon", *"bcfiknqrstwxzL:?")
        await until(desk.pilot, lambda: gdb_line(desk) == "bcfiknqrstwxzL:?")
        assert desk.session.calls == ["start", "state"]


async def test_breakpoint_choosing_completing_and_leaving(sit: Sit) -> None:
    async with sit() as desk:
        await desk.press("b", *"handle")
        await until_shown(desk.pilot, "▸ handle_interrupt")
        await desk.press("down", "tab", "enter")
        await desk.called("add_breakpoint(os::interrupt::handler::handle_interrupt_late)")
        await desk.press("b", *"main", "escape")
        await until(desk.pilot, lambda: "Breakpoint at" not in screen(desk.app))
        await desk.press("b", *"handler.rs:48", "enter")
        await desk.called("add_breakpoint(handler.rs:48)")


async def test_a_breakpoint_that_cannot_be_is_one_line(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.fail["add_breakpoint"] = UsageError("os has no symbol 'nope'")
        await desk.press("b", *"nope", "enter")
        await until_shown(desk.pilot, "! os has no symbol 'nope'")
        assert desk.app.is_running


async def test_gdb_commands_and_their_history(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.answers |= {"info reg": "ra 0x1\nsp\t[bold]0x2\x1b[31m", "p 1": "$1 = 1"}
        await desk.press("colon", *"info reg", "enter", *"p 1", "enter")
        text = await until_shown(desk.pilot, "(gdb) info reg", "ra 0x1", "$1 = 1")
        assert "[bold]0x2\\x1b[31m" in text
        await desk.press("up", "up")
        await until_shown(desk.pilot, "info reg")
        await desk.press("enter")
        await until(desk.pilot, lambda: desk.session.calls.count("console_command(info reg)") == 2)
        await desk.press("up", "down", "escape", "s")
        await desk.called("go(step_line)")


def gdb_line(desk: Desk) -> str:
    return desk.app.screen.query_one(GdbPanel).line.value


async def test_tab_completes_a_gdb_command(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.completed = ["rc print P.pool", "rc print P.pool[0]", "rc print P.pool[1]"]
        desk.session.answers["rc print P.pool[1]"] = "seven"
        await desk.press("colon", *"rc print P.", "tab")
        await until_shown(desk.pilot, "rc print P.pool[0]", "rc print P.pool[1]")
        await desk.press(*"[1", "tab")
        await desk.called("completions(rc print P.pool[1)")
        await until(desk.pilot, lambda: gdb_line(desk) == "rc print P.pool[1]")
        await desk.press("enter")
        await until_shown(desk.pilot, "seven")
        await desk.press(*"nonsense", "tab")
        await until_shown(desk.pilot, "nothing begins like that")
        await desk.press("escape", "s")
        await desk.called("go(step_line)")


async def test_a_wrong_gdb_command_is_one_clear_line(sit: Sit) -> None:
    async with sit() as desk:
        await desk.press("colon", *"nonsense", "enter")
        text = await until_shown(desk.pilot, '! Undefined command: "nonsense"')
        assert "Traceback" not in text


async def test_gdbs_own_words_for_running_do_what_the_keys_do(sit: Sit) -> None:
    async with sit() as desk:
        await desk.press("colon", *"next", "enter")
        await desk.called("go(next_line)")
        await desk.stopped(2)
        assert "console_command(next)" not in desk.session.calls


async def test_the_screen_stays_awake_while_gdb_is_busy(sit: Sit) -> None:
    free = threading.Event()

    class Busy(FakeSession):
        def console_command(self, text: str, width: int) -> str:
            free.wait(20)
            return "at last"

    async with sit(session=Busy()) as desk:
        await desk.press("colon", *"until 5", "enter", "escape", "z")
        await until(desk.pilot, lambda: "Threads" not in screen(desk.app))  # zoomed
        await desk.press("ctrl+c")
        assert desk.session.calls[-1] == "interrupt"  # for gdb, since the kernel stands
        free.set()
        await until_shown(desk.pilot, "at last")
        await desk.press("ctrl+c")
        await until_shown(desk.pilot, "the kernel stands already")


async def test_the_console_follows_the_kernel_and_can_be_typed_to(sit: Sit) -> None:
    async with sit() as desk:
        assert desk.session.listener is not None
        for n in range(100):
            desk.session.listener.on_console_text(f"tick {n}\r\n")
        desk.session.listener.on_console_text("half \x1b[31ma li\x1b[0mne\x1b]0;title\x07\x1b[2J")
        text = await until_shown(desk.pilot, "tick 99", "half a line")
        assert "tick 1\n" not in text
        assert "title" not in text
        await desk.press("tab", "enter", *"ls", "enter")
        await desk.called("write_console('ls\\n')")


async def test_scrolling_back_holds_the_console_still(sit: Sit) -> None:
    async with sit() as desk:
        listener = desk.session.listener
        assert listener is not None
        listener.on_console_text("".join(f"tick {n}\n" for n in range(100)))
        await until_shown(desk.pilot, "tick 99")
        await desk.press("tab", "home")
        await until_shown(desk.pilot, "OpenSBI v1.1")
        listener.on_console_text("tick 100\n")
        await until_shown(desk.pilot, "▼ 9")
        assert "OpenSBI v1.1" in screen(desk.app)
        await desk.press("end")
        await until_shown(desk.pilot, "tick 100")


async def test_another_size_does_not_scroll_the_console(sit: Sit) -> None:
    async with sit() as desk:
        listener = desk.session.listener
        assert listener is not None
        listener.on_console_text("".join(f"tick {n}\n" for n in range(100)))
        await until_shown(desk.pilot, "tick 99")
        for width, height in ((120, 40), (90, 24)):
            await desk.pilot.resize_terminal(width, height)
            await until_shown(desk.pilot, "tick 99")
        await desk.press("tab", "home")
        await until_shown(desk.pilot, "OpenSBI v1.1")
        await desk.pilot.resize_terminal(120, 40)
        await until(desk.pilot, lambda: desk.app.size.width == 120)
        await settle()
        await until_shown(desk.pilot, "OpenSBI v1.1")
        listener.on_console_text("tick 100\n")
        console = desk.app.screen.query_one(ConsolePanel)
        await until(desk.pilot, lambda: "tick 100" in console.tail.plain)
        assert "OpenSBI v1.1" in screen(desk.app)


async def test_an_error_of_ours_is_a_line_too(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.fail["go(step_line)"] = ZeroDivisionError("oops")
        await desk.press("s")
        await until_shown(desk.pilot, "! internal error: ZeroDivisionError: oops")
        await desk.press("n")
        await desk.stopped(2)


async def test_a_kernel_that_ends_can_be_started_again(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.hold = True
        await desk.press("c")
        await until_shown(desk.pilot, "RUNNING")
        assert desk.session.listener is not None
        desk.session.listener.on_console_text("panic!\n")
        desk.session.listener.on_exit("guest shut down with status 0")
        text = await until_shown(desk.pilot, "EXITED", "guest shut down with status 0", "panic!")
        assert "r restarts" in text
        await desk.press("s")
        await until_shown(desk.pilot, "the kernel has ended: r restarts it")
        await desk.press("r")
        text = await until_shown(desk.pilot, "STOPPED", "booted again")
        assert "panic!" not in text
        await desk.stopped(1)


async def test_a_restart_that_fails_can_be_tried_again(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.fail["restart"] = MachineError("QEMU did not start: no memory")
        await desk.press("r")
        await until_shown(desk.pilot, "EXITED", "QEMU did not start: no memory")
        del desk.session.fail["restart"]
        await desk.press("r")
        await until_shown(desk.pilot, "STOPPED", "booted again")


async def test_a_start_that_fails_ends_the_program_with_its_reason() -> None:
    class Broken(FakeSession):
        def start(self, listener: Listener) -> None:
            raise UsageError("os has no symbol 'nope'")

    app = Shell(Broken())
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.start_error is not None)
    app.end()
    assert app.return_code == 2 or app.return_value == 2
    assert str(app.start_error) == "os has no symbol 'nope'"


@pytest.mark.parametrize("keys", [("q",), ("colon", "q", "enter"), ("colon", *"quit", "enter")])
async def test_leaving(sit: Sit, keys: tuple[str, ...]) -> None:
    async with sit() as desk:
        await desk.press(*keys)
        await until(desk.pilot, lambda: not desk.app.is_running)
        assert desk.app.return_value == 0


async def test_leaving_while_it_runs(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.hold = True
        await desk.press("c")
        await until_shown(desk.pilot, "RUNNING")
        await desk.press("q")
        await until(desk.pilot, lambda: not desk.app.is_running)


async def test_help_lists_every_key(sit: Sit) -> None:
    async with sit(100, 30) as desk:
        await desk.press("question_mark")
        text = await until_shown(desk.pilot, "run to the next source line, into calls")
        for words in ("boot again", "Shift+Tab", "other than at the last stop"):
            assert words in text
        await desk.press("escape")
        await until(desk.pilot, lambda: "boot again" not in screen(desk.app))


async def test_a_kernel_that_prints_without_end_does_not_stop_the_keys(sit: Sit) -> None:
    text = "".join(f"line {n} of a kernel that prints and prints\n" for n in range(1000))
    enough = threading.Event()

    async with sit() as desk:
        listener = desk.session.listener
        assert listener is not None

        def print_on() -> None:
            while not enough.wait(0.01):
                listener.on_console_text(text)

        printer = threading.Thread(target=print_on)
        printer.start()
        try:
            for number in (2, 3):
                send(desk.app, "s")  # the app is never idle here
                await desk.stopped(number)
            await until_shown(desk.pilot, "of a kernel that prints", "STOPPED")
        finally:
            enough.set()
            printer.join()
        listener.on_console_text("the end\n")
        await until_shown(desk.pilot, "the end")


@pytest.mark.parametrize("key", ["b", "question_mark"])
async def test_what_happens_behind_a_prompt_is_there_after_it(sit: Sit, key: str) -> None:
    async with sit() as desk:
        desk.session.hold = True
        await desk.press("c")
        await until_shown(desk.pilot, "RUNNING")
        await desk.press(key)
        await until_shown(desk.pilot, "Esc leaves")
        await desk.pilot.resize_terminal(100, 30)
        desk.session.stop("interrupted")
        await desk.stopped(2)
        await desk.press("escape")
        text = await until_shown(desk.pilot, "STOPPED  interrupted", "CSRs  ▼")
        assert "╭" not in text  # the boxes of the large screen


async def test_a_failed_interrupt_is_a_line(sit: Sit) -> None:
    class Deaf(FakeSession):
        def interrupt(self) -> None:
            raise MachineError("gdb has ended")

    async with sit(session=Deaf()) as desk:
        desk.session.hold = True
        await desk.press("c")
        await until_shown(desk.pilot, "RUNNING")
        await desk.press("x")
        await until_shown(desk.pilot, "! gdb has ended")
