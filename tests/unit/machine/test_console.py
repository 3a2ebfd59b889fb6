"""What a guest prints, and what is typed to it."""

import os
import re
import threading

import pytest

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu import console as console_module
from rcdbg.machine.qemu.console import SerialConsole


def test_text_arrives_in_pieces_and_characters_may_be_cut() -> None:
    console = SerialConsole(None)
    data = "Hello, 世界\n".encode()
    for byte in data:
        console.feed(bytes([byte]))
    assert console.text == "Hello, 世界\n"
    console.feed(b"\xff\xe4")
    console.feed(b"")
    assert console.text == "Hello, 世界\n\ufffd\ufffd"
    assert console.ended


def test_waiting_ends_with_the_text() -> None:
    console = SerialConsole(None)
    console.feed(b"panic")
    feeder = threading.Thread(target=console.feed, args=(b"ked at os/src/main.rs:10\n",))
    feeder.start()
    match = console.wait_for(re.compile(r"panicked at (\S+):(\d+)"), 5)
    feeder.join()
    assert match.groups() == ("os/src/main.rs", "10")
    assert console.wait_for("main.rs", 0, start=0)
    with pytest.raises(DeadlineError, match=r"no 'panic' .* 'panicked at os/src/main.rs:10'"):
        console.wait_for("panic", 0.01, start=match.end())


def test_a_plain_string_is_no_pattern() -> None:
    console = SerialConsole(None)
    console.feed(b"a+b")
    assert console.wait_for("a+b", 0)
    with pytest.raises(DeadlineError):
        console.wait_for("a.b", 0)


def test_waiting_ends_with_the_machine() -> None:
    console = SerialConsole(None)
    waiter = threading.Timer(0, console.feed, args=(b"",))
    waiter.start()
    with pytest.raises(MachineError, match="ended before it printed 'passed': it printed nothing"):
        console.wait_for("passed", 5)
    waiter.join()


def test_subscribers_get_all_text_once_and_in_order() -> None:
    console = SerialConsole(None)
    console.feed(b"one ")
    heard: list[str] = []
    unsubscribe = console.subscribe(heard.append)
    console.feed(b"two ")
    unsubscribe()
    unsubscribe()
    console.feed(b"three")
    assert "".join(heard) == "one two "


def test_a_broken_subscriber_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    console = SerialConsole(None)
    heard: list[str] = []
    console.subscribe(lambda text: heard.append(text[10**9]))
    console.subscribe(heard.append)
    console.feed(b"text")
    assert heard == ["text"]
    assert "subscriber failed" in caplog.text


def test_a_subscriber_may_read_the_console() -> None:
    console = SerialConsole(None)
    seen: list[str] = []

    def listen(_: str) -> None:
        reader = threading.Thread(target=lambda: seen.append(console.text))
        reader.start()
        reader.join(5)

    console.subscribe(listen)
    console.feed(b"text")
    assert seen == ["text"]


def test_a_guest_that_prints_for_hours_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "MAX_CHARACTERS", 1000)
    console = SerialConsole(None)
    for number in range(1000):
        console.feed(b"line %d\n" % number)
    assert len(console.text) <= 1250
    assert console.text.endswith("line 998\nline 999\n")


def test_typing_reaches_the_descriptor() -> None:
    read, write = os.pipe()
    console = SerialConsole(write)
    try:
        console.write(b"ls\n")
        assert os.read(read, 10) == b"ls\n"
    finally:
        os.close(read)
    with pytest.raises(MachineError, match="has ended"):
        console.write(b"ls\n")
    console.detach_keyboard()
    os.close(write)
    with pytest.raises(MachineError, match="has been closed"):
        console.write(b"ls\n")


def test_typing_to_a_guest_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "_TYPING_SECONDS", 0.05)
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        with pytest.raises(DeadlineError, match="does not read"):
            SerialConsole(write).write(b"x" * (1 << 20))
    finally:
        os.close(read)
        os.close(write)


def test_an_output_only_line_says_so() -> None:
    with pytest.raises(MachineError, match="serial='socket'"):
        SerialConsole(None).write(b"x")
