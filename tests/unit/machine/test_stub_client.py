"""The stub client against stubs that behave, misbehave, and vanish."""

import socket
import threading
from pathlib import Path

import pytest

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.stop import Stop
from rcdbg.machine.stub import dialect, rsp
from rcdbg.machine.stub.client import StubClient
from rcdbg.machine.stub.wire import StubError

from .conftest import StubFactory
from .stub_hart import FakeHart


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
