"""Machines for the tests of the layer that starts them."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.qemu.config import QemuConfig
from rcdbg.machine.qemu.qemu import Qemu
from tests.support.tools import tool
from tests.unit.machine.processes import Watch

BootGuest = Callable[..., Qemu]
"""Boots an image, or the instructions of a guest; keywords are those of QemuConfig and Qemu."""

ENTRY = 0x8020_0000
"""Where QEMU loads a raw image, and OpenSBI enters it in S-mode."""

_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def kernel() -> Path:
    """The project's kernel."""
    named = os.environ.get("RCDBG_KERNEL")
    path = Path(named or _ROOT / "kernel/target/riscv64imac-unknown-none-elf/debug/os")
    if not path.is_file():
        pytest.fail(f"no kernel at {path}: run `make kernel` first", pytrace=False)
    return path


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[BootGuest]:
    """Boot machines that end with the test."""
    with contextlib.ExitStack() as machines:

        def start(guest: Path | Sequence[int], *, paused: bool = True, **options: object) -> Qemu:
            if not isinstance(guest, Path):
                image = tmp_path / "guest.bin"
                image.write_bytes(b"".join(word.to_bytes(4, "little") for word in guest))
                guest = image
            config = QemuConfig(guest, **options)  # type: ignore[arg-type]
            return machines.enter_context(Qemu(config, paused=paused))

        yield start


@pytest.fixture(params=["venv", "debian"])
def gdb_path(request: pytest.FixtureRequest) -> str:
    """Each gdb that rcdbg supports: gdb-for-pwndbg's, and Debian's gdb-multiarch."""
    name = str(Path(sys.executable).parent / "gdb") if request.param == "venv" else "gdb-multiarch"
    return tool(name)


@pytest.fixture
def gdb(gdb_path: str) -> Iterator[Gdb]:
    """A gdb that is not connected yet."""
    with Gdb(gdb_path) as started:
        yield started


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch processes; those that are left are killed after the test."""
    with contextlib.ExitStack() as cleanup:
        yield Watch(cleanup)
