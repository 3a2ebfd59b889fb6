"""A QEMU that somebody else started, over its gdb stub: looked at, and left as it was."""

import contextlib
from collections.abc import Iterator

from rcdbg.guest.paged import PagedTarget
from rcdbg.guest.protocol import Ram
from rcdbg.machine.qemu.ram import RAM_BASE
from rcdbg.machine.stub.client import StubClient
from rcdbg.riscv import device_tree

MAX_RAM = 4 << 30
"""How far RAM is searched for the device tree, in bytes; QEMU puts it below 3 GiB of them."""


@contextlib.contextmanager
def attached(address: str, *, stay: bool = False) -> Iterator[tuple[PagedTarget, StubClient]]:
    """The machine behind the stub at `address` ("host:port" or a socket's path), stopped.

    On leaving, a guest that ran before runs again, unless `stay`. RAM's extent is taken from the
    device tree, and is None where that is gone. Raises MachineError if no stub answers.
    """
    with StubClient(address) as stub:
        resume = stub.found_running and not stay
        try:
            with stub.memory.physical():
                ram = find_ram(stub)
                target = PagedTarget(
                    stub.read_memory, stub.registers(with_time=True), ram, RAM_BASE
                )
                yield target, stub
        finally:
            if resume:
                stub.resume()


def find_ram(stub: StubClient) -> Ram | None:
    """RAM's extent after the device tree; within `stub.memory.physical()`. None if not found."""
    places = range(RAM_BASE, RAM_BASE + MAX_RAM, device_tree.ALIGNMENT)
    found = device_tree.find_memory(stub.read_memory, places)
    return Ram(*found) if found is not None else None
