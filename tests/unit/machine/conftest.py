"""Stand-ins for what the machine layer talks to: a gdb stub and a gdb."""

import contextlib
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from rcdbg.machine.stub import rsp

from .processes import Watch

Answer = Callable[[bytes], bytes | Iterable[bytes] | None]
"""Raw bytes to send for a packet's payload (or for an interrupt); None closes the connection.

Pieces may have no end: they are sent as long as somebody takes them.
"""

StubFactory = Callable[[Answer], Path]
GdbFactory = Callable[[str], str]

TARGET_XML = (
    b'<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
    b'<architecture>riscv:rv64</architecture><xi:include href="cpu.xml"/>'
    b'<xi:include href="csr.xml"/></target>'
)
CPU_XML = b"<feature>%b</feature>" % b"".join(
    b'<reg name="%b" bitsize="64"/>' % name
    for name in [*(b"x%d" % number for number in range(32)), b"pc"]
)
CSR_XML = (
    b'<feature><reg name="satp" bitsize="64" regnum="450"/>'
    b'<reg name="scause" bitsize="64"/><reg name="priv" bitsize="64" regnum="4161"/></feature>'
)


def describe_registers(payload: bytes) -> bytes | None:
    """The answers of a stub with x0..x31, pc, satp (450), scause (451) and priv (4161)."""
    if payload.startswith(b"qSupported"):
        return rsp.frame(b"PacketSize=1000;qXfer:features:read+")
    files = {b"target.xml": TARGET_XML, b"cpu.xml": CPU_XML, b"csr.xml": CSR_XML}
    if payload.startswith(b"qXfer:features:read:"):
        _, _, _, name, span = payload.split(b":")
        offset, length = (int(number, 16) for number in span.split(b","))
        piece = files[name][offset : offset + length]
        more = offset + length < len(files[name])
        return rsp.frame((b"m" if more else b"l") + piece)
    return None


@pytest.fixture
def fake_stub(tmp_path: Path) -> Iterator[StubFactory]:
    """Make a stub that answers as told; it serves one connection, at the path returned."""
    with contextlib.ExitStack() as cleanup:

        def make(answer: Answer) -> Path:
            path = tmp_path / "stub.sock"
            listener = socket.socket(socket.AF_UNIX)
            cleanup.callback(listener.close)
            listener.bind(str(path))
            listener.listen(1)
            thread = threading.Thread(target=_serve, args=(listener, answer), daemon=True)
            thread.start()
            cleanup.callback(thread.join, 10)
            cleanup.callback(listener.shutdown, socket.SHUT_RDWR)
            return path

        yield make


def _serve(listener: socket.socket, answer: Answer) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return  # the test ended without connecting
    with connection:
        stream = b""
        while data := _receive(connection):
            stream += data
            while stream:
                if stream[:1] == rsp.INTERRUPT:
                    payload, stream = rsp.INTERRUPT, stream[1:]
                else:
                    item, stream = rsp.take(stream)
                    if item is None:
                        break
                    if item.kind is not rsp.ItemKind.PACKET:
                        continue
                    payload = item.payload
                    connection.sendall(rsp.ACK)
                reply = answer(payload)
                if reply is None:
                    return
                try:
                    for piece in [reply] if isinstance(reply, bytes) else reply:
                        connection.sendall(piece)
                except ConnectionError:
                    return


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


@pytest.fixture
def fake_gdb(tmp_path: Path) -> GdbFactory:
    """Make an executable that speaks MI; `answer(token, command)` prints what it has to say."""

    def make(answer: str) -> str:
        program = tmp_path / "fake-gdb"
        program.write_text(
            f"#!{sys.executable} -ISu\n"
            + dedent(
                """\
                import os, re, signal, sys, time
                def say(*lines):
                    for line in lines:
                        print(line, flush=True)
                """
            )
            + dedent(answer)
            + dedent(
                """
                say('=thread-group-added,id="i1"', "(gdb) ")
                for line in sys.stdin:
                    token, command = re.match(r"([0-9]*)(.*)", line).groups()
                    answer(token, command)
                    say("(gdb) ")
                """
            )
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return str(program)

    return make


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch processes; those that are left are killed after the test."""
    with contextlib.ExitStack() as cleanup:
        yield Watch(cleanup)
