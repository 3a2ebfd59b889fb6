"""A QEMU that somebody else started, over its gdb stub: looked at, and left as it was."""

import contextlib
from collections.abc import Iterator

from rcdbg.guest.paged import PagedTarget
from rcdbg.machine.qemu.board import RAM_BASE, find_ram
from rcdbg.machine.stub.client import StubClient


@contextlib.contextmanager
def attached(
    address: str, *, stay: bool = False, hart: int | None = None
) -> Iterator[tuple[PagedTarget, StubClient]]:
    """The machine behind the stub at `address` ("host:port" or a socket's path), stopped.

    Its registers are those of `hart`, else of the one that the stub has chosen. On leaving, a guest
    that ran before runs again, unless `stay`. RAM's extent is taken from the device tree, and is
    None where that is gone. Raises MachineError if no stub answers, UsageError for a hart that is
    not there.
    """
    with StubClient(address) as stub:
        resume = stub.found_running and not stay
        try:
            if hart is not None:
                stub.regs.harts.choose(hart)
            with stub.memory.physical():
                ram = find_ram(stub.read_memory)
                target = PagedTarget(
                    stub.read_memory, stub.registers(with_time=True), ram, RAM_BASE
                )
                yield target, stub
        finally:
            if resume:
                stub.resume()
