"""The stub client against what is no stub, or never comes to an answer."""

import itertools
import time
from collections.abc import Iterable

import pytest

from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.stub import rsp, wire
from rcdbg.machine.stub.client import StubClient
from rcdbg.machine.stub.wire import StubError

from .conftest import Answer, StubFactory
from .stub_hart import FakeHart


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak like a stub"),
        (lambda _: b"$OK#00" * 20, "does not speak like a stub"),
        (lambda _: rsp.frame(b"hello"), "is no gdb stub"),
        (lambda _: rsp.frame(b""), "is no gdb stub"),
        (lambda _: None, "closed its gdb stub"),
        (
            lambda payload: rsp.frame(b"PacketSize=1000" if b"qSupp" in payload else b"E01"),
            "does not describe its registers",
        ),
        (
            lambda payload: rsp.frame(b"PacketSize=1000" if b"qSupp" in payload else b"l<target>"),
            "description is broken",
        ),
        (
            lambda payload: rsp.frame(b"PacketSize=1000" if b"qSupp" in payload else b"l<target/>"),
            "describes no register 'pc'",
        ),
    ],
)
def test_what_is_no_stub_is_found_out(fake_stub: StubFactory, answer: Answer, message: str) -> None:
    with pytest.raises(StubError, match=message):
        StubClient(fake_stub(answer))


def test_a_silent_stub_is_given_up(fake_stub: StubFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.05)
    with pytest.raises(StubError, match="another debugger"):
        StubClient(fake_stub(lambda _: b""))


@pytest.mark.parametrize(
    ("asked", "endless"),
    [
        (b"qSupported", b"+" * 1000),
        (b"qSupported", b"+"),
        (b"qSupported", rsp.frame(b"T05thread:01;")),
        (b"qXfer", b"+" * 1000),
        (b"g", b"+"),
        (b"qRcmd", rsp.frame(b"O41")),
        (b"qRcmd", b"+"),
    ],
)
def test_a_stub_that_never_comes_to_the_answer_is_given_up(
    fake_stub: StubFactory, monkeypatch: pytest.MonkeyPatch, asked: bytes, endless: bytes
) -> None:
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.3)
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | Iterable[bytes] | None:
        return itertools.repeat(endless) if payload.startswith(asked) else hart(payload)

    def ask_all() -> None:
        with StubClient(fake_stub(answer)) as client:
            client.registers()
            client.monitor("info status")

    begin = time.monotonic()
    with pytest.raises(StubError, match=r"gave no answer in 0\.3 s"):
        ask_all()
    assert time.monotonic() - begin < 5


def test_a_guest_that_only_prints_has_not_stopped(fake_stub: StubFactory) -> None:
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | Iterable[bytes] | None:
        return itertools.repeat(rsp.frame(b"O41")) if payload == b"c" else hart(payload)

    with StubClient(fake_stub(answer)) as client:
        client.resume()
        with pytest.raises(DeadlineError, match=r"did not stop within 0\.3 s"):
            client.wait_stop(0.3)


def test_a_description_without_an_end_is_given_up(fake_stub: StubFactory) -> None:
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | Iterable[bytes] | None:
        return rsp.frame(b"m" + b"x" * 2048) if payload.startswith(b"qXfer") else hart(payload)

    with pytest.raises(StubError, match="has no end"):
        StubClient(fake_stub(answer))


def test_a_description_with_nonsense_for_a_number_is_broken(fake_stub: StubFactory) -> None:
    text = b'l<target><reg name="pc" regnum="many"/></target>'
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | Iterable[bytes] | None:
        return rsp.frame(text) if payload.startswith(b"qXfer") else hart(payload)

    with pytest.raises(StubError, match="description is broken"):
        StubClient(fake_stub(answer))
