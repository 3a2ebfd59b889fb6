"""The monitor's client against something that speaks as QEMU does."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcdbg.machine.qemu.monitor import Monitor, MonitorError, command

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'
EVENT = b'{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESUME"}\r\n'
DONE = b'{"return": {}}\r\n'


class Speaker:
    """Says `lines` to whoever connects, then answers each command with success."""

    def __init__(self, path: Path, lines: bytes) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._lines = lines
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def _speak(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.sendall(self._lines)
            while asked := connection.recv(4096):
                connection.sendall(DONE * asked.count(b"\n"))

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


@pytest.fixture
def qmp(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    speaker = Speaker(tmp_path / "qmp.sock", request.param)
    yield speaker.path
    speaker.close()


@pytest.mark.parametrize("qmp", [GREETING, EVENT + GREETING, EVENT * 3 + GREETING], indirect=True)
def test_events_may_come_before_the_greeting(qmp: Path) -> None:
    with Monitor(qmp) as monitor:
        monitor.send(command("stop"))
        assert monitor.answer() == {}


@pytest.mark.parametrize("qmp", [b"SSH-2.0\r\n", DONE], indirect=True)
def test_what_does_not_greet_is_no_monitor(qmp: Path) -> None:
    with pytest.raises(MonitorError, match="no QEMU monitor"):
        Monitor(qmp)
