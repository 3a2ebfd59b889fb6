"""The stub client against stubs that behave, misbehave, and vanish."""

import itertools
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.stop import Stop
from rcdbg.machine.stub import dialect, rsp, wire
from rcdbg.machine.stub.client import StubClient
from rcdbg.machine.stub.wire import StubError

from .conftest import Answer, StubFactory, describe_registers


def little(value: int) -> bytes:
    return value.to_bytes(8, "little").hex().encode()


class FakeHart:
    """A stub with memory from 0x1000 to 0x9000, whose instructions are one byte long.

    `c` runs to the next breakpoint, or on for ever; `packets` is what was asked.
    """

    def __init__(self) -> None:
        self.pc = 0x1000
        self.breakpoints: set[int] = set()
        self.memory = bytearray(range(256)) * 128
        self.packets: list[bytes] = []
        self.physical = False

    def __call__(self, payload: bytes) -> bytes | None:
        self.packets.append(payload)
        described = describe_registers(payload)
        if described is not None:
            return described
        reply = self.reply(payload)
        return b"" if reply is None else rsp.frame(reply)

    def reply(self, payload: bytes) -> bytes | None:
        kind, rest = payload[:1], payload[1:]
        if kind in b"Zz":
            address = int(rest.split(b",")[1], 16)
            (self.breakpoints.add if kind == b"Z" else self.breakpoints.remove)(address)
            return b"OK"
        if kind == b"g":
            return b"".join(little(number) for number in range(32)) + little(self.pc)
        if kind == b"p":
            values = {32: self.pc, 450: 8 << 60 | 0x80222, 451: 1 << 63 | 5, 4161: 1}
            return little(values[int(rest, 16)])
        if kind == b"P":
            assert rest.startswith(b"20="), "the pc is all that can be set"
            self.pc = int.from_bytes(bytes.fromhex(rest[3:].decode()), "little")
            return b"OK"
        if kind == b"s":
            self.pc += 1
            return b"T05thread:01;"
        if kind == b"c":
            ahead = [address for address in self.breakpoints if address >= self.pc]
            if not ahead:
                return None
            self.pc = min(ahead)
            return b"T05thread:01;"
        if payload == rsp.INTERRUPT:
            return b"T02thread:01;"
        if kind == b"m":
            address, size = (int(number, 16) for number in rest.split(b","))
            if not 0x1000 <= address <= 0x9000 - size:
                return b"E14"
            return self.memory[address - 0x1000 :][:size].hex().encode()
        if kind == b"M":
            span, data = rest.split(b":")
            address, _ = (int(number, 16) for number in span.split(b","))
            piece = bytes.fromhex(data.decode())
            self.memory[address - 0x1000 : address - 0x1000 + len(piece)] = piece
            return b"OK"
        if payload.startswith(b"Qqemu.PhyMemMode:"):
            self.physical = payload.endswith(b"1")
            return b"OK"
        return b""


def test_registers_come_by_name_and_unsigned(fake_stub: StubFactory) -> None:
    with StubClient(fake_stub(FakeHart())) as client:
        registers = client.registers()
    assert registers.pc == 0x1000
    assert registers.x == tuple(range(32))
    assert registers.csrs == {"satp": 8 << 60 | 0x80222, "scause": 1 << 63 | 5}
    assert registers.privilege == 1


def test_memory_is_read_and_written_in_pieces(fake_stub: StubFactory) -> None:
    hart = FakeHart()
    with StubClient(fake_stub(hart)) as client:
        data = client.read_memory(0x1001, 0x4000)
        assert data == bytes(hart.memory[1:0x4001])
        reads = [packet for packet in hart.packets if packet.startswith(b"m")]
        assert len(reads) == 0x4000 // dialect.READ_CHUNK
        client.memory.write(0x1000, b"$#}*" * 1000)
        assert client.read_memory(0x1000, 4000) == b"$#}*" * 1000


def test_unmapped_memory_is_an_error_with_its_address(fake_stub: StubFactory) -> None:
    with StubClient(fake_stub(FakeHart())) as client:
        with pytest.raises(MemoryReadError) as caught:
            client.read_memory(0x8000, 0x2000)
        assert caught.value.address == 0x9000
        assert client.read_memory(0x1000, 2) == b"\0\1"


def test_physical_mode_is_left_even_when_a_read_fails(fake_stub: StubFactory) -> None:
    hart = FakeHart()
    with StubClient(fake_stub(hart)) as client:
        assert client.read_phys(0x1000, 2) == b"\0\1"
        with pytest.raises(MemoryReadError):
            client.read_phys(0, 8)
        assert not hart.physical
        assert hart.packets.count(b"Qqemu.PhyMemMode:1") == 2


def test_a_breakpoint_is_hit_stepped_over_and_taken_out(fake_stub: StubFactory) -> None:
    hart = FakeHart()
    with StubClient(fake_stub(hart)) as client:
        first = client.insert_breakpoint(0x1010)
        second = client.insert_breakpoint(0x1011)
        client.resume()
        assert client.wait_stop(5) == Stop("breakpoint", 0x1010, first, 5)
        client.resume()
        # One instruction on is the second one: it must not be run over.
        assert client.wait_stop(5) == Stop("breakpoint", 0x1011, second, 5)
        assert client.step() == Stop("step", 0x1012, signal=5)
        client.remove_breakpoint(first)
        with pytest.raises(StubError, match="no breakpoint"):
            client.remove_breakpoint(first)
    assert hart.breakpoints == set()


def test_two_breakpoints_at_one_address_are_one_in_the_stub(fake_stub: StubFactory) -> None:
    hart = FakeHart()
    with StubClient(fake_stub(hart)) as client:
        first, second = client.insert_breakpoint(0x1010), client.insert_breakpoint(0x1010)
        assert first != second
        client.remove_breakpoint(first)
        assert hart.breakpoints == {0x1010}
        client.remove_breakpoint(second)
        assert hart.breakpoints == set()


def test_a_running_guest_answers_nothing_but_an_interrupt(fake_stub: StubFactory) -> None:
    hart = FakeHart()
    with StubClient(fake_stub(hart)) as client:
        client.resume()
        asked = len(hart.packets)
        for question in (client.registers, client.resume, client.run.step):
            with pytest.raises(StubError, match="running"):
                question()
        with pytest.raises(DeadlineError):
            client.wait_stop(0.01)
        assert all(packet == b"c" for packet in hart.packets[asked:])
        client.interrupt()
        assert client.wait_stop(5) == Stop("interrupt", 0x1000, signal=2)
        client.interrupt()
        assert client.wait_stop(0).reason == "interrupt"


def test_a_closed_client_says_so(fake_stub: StubFactory) -> None:
    client = StubClient(fake_stub(FakeHart()))
    client.close()
    client.close()
    with pytest.raises(MachineError, match="closed"):
        client.resume()


def test_a_pc_that_was_set_is_where_the_guest_goes_on(fake_stub: StubFactory) -> None:
    hart = FakeHart()
    with StubClient(fake_stub(hart)) as client:
        client.insert_breakpoint(0x1010)
        client.resume()
        assert client.wait_stop(5).pc == 0x1010
        client.write_register("pc", 0x1008)
        client.resume()
        assert client.wait_stop(5).pc == 0x1010
        assert b"s" not in hart.packets, "no breakpoint was to be stepped over"
        client.write_register("pc", 0x1000)
        client.write_register("pc", 0x1010)
        client.resume()
        client.interrupt()
        assert client.wait_stop(5).reason == "interrupt"
        assert b"s" in hart.packets, "the breakpoint at the new place was to be stepped over"


def test_the_stop_caused_by_attaching_is_no_answer(fake_stub: StubFactory) -> None:
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | None:
        reply = hart(payload)
        unasked = rsp.frame(b"T02thread:01;") if payload.startswith(b"qSupported") else b""
        return None if reply is None else unasked + reply

    with StubClient(fake_stub(answer)) as client:
        assert client.registers().pc == 0x1000


def test_a_guest_that_ended_before_it_was_resumed_has_exited(fake_stub: StubFactory) -> None:
    with StubClient(fake_stub(FakeHart())) as client:
        client.link.wire._socket.shutdown(socket.SHUT_RDWR)
        client.resume()
        assert client.wait_stop(1).reason == "exited"
        with pytest.raises(MachineError, match="closed"):
            client.resume()


def test_a_guest_that_ends_while_it_is_read_has_exited(fake_stub: StubFactory) -> None:
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | None:
        return None if payload == b"g" else hart(payload)

    with StubClient(fake_stub(answer)) as client:
        client.run.step()
        stop, registers, held = client.run.wait_stop_reading(1, ["satp"])
    assert (stop.reason, registers, held) == ("exited", None, b"")


@pytest.mark.parametrize(
    ("version", "state", "ran"),
    [
        ("7.2.22", "paused", False),
        ("10.0.13", "paused (prelaunch)", False),
        ("10.0.13", "paused (debug)", False),
        ("10.0.13", "paused", True),
    ],
)
def test_whether_the_guest_ran_before_we_came(
    fake_stub: StubFactory, version: str, state: str, ran: bool
) -> None:
    hart = FakeHart()
    said = {b"info version": f"{version}\r\n", b"info status": f"VM status: {state}\r\n"}

    def answer(payload: bytes) -> bytes | None:
        if payload.startswith(b"qRcmd,"):
            text = said[bytes.fromhex(payload[6:].decode())]
            return rsp.frame(b"O" + text.encode().hex().encode()) + rsp.frame(b"OK")
        return hart(payload)

    with StubClient(fake_stub(answer)) as client:
        assert client.found_running == ran


@pytest.mark.parametrize(
    ("packet", "status"), [(b"W00", 0), (b"W03", 3), (b"X09", None), (None, None)]
)
def test_the_guests_end_is_a_stop(
    fake_stub: StubFactory, packet: bytes | None, status: int | None
) -> None:
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | None:
        if payload == b"c":
            return None if packet is None else rsp.frame(packet)
        return hart(payload)

    with StubClient(fake_stub(answer)) as client:
        client.resume()
        assert client.wait_stop(5) == Stop("exited", exit_status=status)
        assert client.wait_stop(5).reason == "exited"
        with pytest.raises(StubError):
            client.resume()


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


def test_a_damaged_answer_is_asked_for_again(fake_stub: StubFactory) -> None:
    hart = FakeHart()

    def answer(payload: bytes) -> bytes | None:
        reply = hart(payload)
        # As if the first copy had been damaged on the way, and the second sent for our `-`.
        return None if reply is None else b"$dam#00" + reply

    with StubClient(fake_stub(answer)) as client:
        assert client.registers().pc == 0x1000


def test_an_address_where_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(StubError, match="no gdb stub at"):
        StubClient(tmp_path / "none.sock")
    with pytest.raises(StubError, match="no gdb stub at"):
        StubClient(tmp_path / ("x" * 200))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(StubError, match="no gdb stub at"):
            StubClient(f"127.0.0.1:{unused.getsockname()[1]}")


def test_it_speaks_over_tcp_too(fake_stub: StubFactory, tmp_path: Path) -> None:
    path = fake_stub(FakeHart())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        bridge = threading.Thread(target=_bridge, args=(server, path), daemon=True)
        bridge.start()
        with StubClient(f"127.0.0.1:{port}") as client:
            assert client.registers().pc == 0x1000
        bridge.join(5)
        assert not bridge.is_alive()


def _bridge(server: socket.socket, path: Path) -> None:
    outside, _ = server.accept()
    with outside, socket.socket(socket.AF_UNIX) as inside:
        inside.connect(str(path))

        def copy(source: socket.socket, sink: socket.socket) -> None:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=copy, args=(inside, outside))
        back.start()
        copy(outside, inside)
        back.join()
