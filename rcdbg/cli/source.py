"""Where a kernel comes from: booted here, a snapshot, another's QEMU, or one that runs on."""

import argparse
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from rcdbg.cli.door import remark
from rcdbg.cli.meaning import common, names, warn, where_to_stop
from rcdbg.errors import MachineError, UsageError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.image.match import doubt_of
from rcdbg.image.resolve import HOW_TO_GET_IT, with_types

if TYPE_CHECKING:
    from rcdbg.machine.stub.client import StubClient
    from rcdbg.model.kernel import Kernel
    from rcdbg.trace.conditions import Condition
    from rcdbg.trace.run import Boot, Run
    from rcdbg.trace.story.live import Sample

T = TypeVar("T")

_END_SECONDS = 10.0


def look(
    arguments: argparse.Namespace, ask: "Callable[[Kernel], T]", *, needs_types: bool = False
) -> "tuple[T, Sample | None]":
    """What `ask` says of the kernel that was asked for, and how it was sampled if it ran.

    Raises RcdbgError for whatever keeps it from being looked at.
    """
    source = _chosen(arguments)
    if source == "snapshot":
        return _in_snapshot(arguments, ask, needs_types), None
    if source == "attach":
        return _behind_stub(arguments, ask, needs_types), None
    return _booted(arguments, ask, needs_types, live=source == "live")


def image_of_source(arguments: argparse.Namespace, *, needs_types: bool = True) -> Image:
    """The ELF of the kernel that was asked for, without a machine; raises RcdbgError."""
    if _chosen(arguments) == "snapshot":
        return _in_snapshot(arguments, lambda kernel: kernel.image, needs_types)
    return _checked(load_image(common(arguments).kernel), needs_types)


def _chosen(arguments: argparse.Namespace) -> str | None:
    given = [name for name in ("live", "snapshot", "attach") if getattr(arguments, name, None)]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} exclude each other")
    hart = getattr(arguments, "hart", None)
    if hart is not None and given and given[0] != "attach":
        raise UsageError(f"--hart is for a machine that stands, not for --{given[0]}")
    return given[0] if given else None


def _choose_hart(arguments: argparse.Namespace, stub: "StubClient") -> None:
    hart = getattr(arguments, "hart", None)
    if hart is not None:
        stub.regs.harts.choose(hart)


def _checked(image: Image, needs_types: bool) -> Image:
    if needs_types:
        return with_types(image)
    if not image.has_debug_info:
        remark(f"{image.path} has no debug info ({image.no_debug_info}): {HOW_TO_GET_IT}")
    return image


def _booted(
    arguments: argparse.Namespace, ask: "Callable[[Kernel], T]", needs_types: bool, *, live: bool
) -> "tuple[T, Sample | None]":
    from rcdbg.trace.conditions import place

    options = common(arguments)
    image = _checked(load_image(options.kernel), needs_types)
    at = where_to_stop(arguments, options, image)
    with _reached(options.boot, image, lambda: place(at, image), arguments.timeout) as run:
        warn(run.doubted())
        _choose_hart(arguments, run.stub)
        if not live:
            return ask(run.kernel()), None
        from rcdbg.trace.story.live import running_guest, sample

        run.stub.resume()
        run.stub.close()
        try:
            with running_guest(run.target, run.qemu.quick_socket) as guest:
                return sample(image, guest, ask, overlay=run.overlay)
        except MachineError as error:
            if run.qemu.alive:
                raise
            status = run.qemu.wait(_END_SECONDS)
            raise MachineError(
                f"the kernel ended with status {status} before it could be looked at: "
                "leave out --live, or let it run something longer"
            ) from error


@contextlib.contextmanager
def _reached(
    boot: "Boot", image: Image, make: "Callable[[], Condition]", timeout: float
) -> "Iterator[Run]":
    """A kernel that stands where what `make` makes is, or where it gives up before.

    A breakpoint at a panic makes QEMU slow in all code of its page: so there is one only for a
    kernel that has ended without it, and is booted again.
    """
    from rcdbg.cli.door import remark
    from rcdbg.model.panics import panic_entry, panicking
    from rcdbg.trace.run import EndedError, Run

    with Run(boot, image) as run:
        panic = panic_entry(image, run.description)
        try:
            run.until(make(), timeout)
        except EndedError:
            if panic is None:
                raise
        else:
            yield run
            return
    with Run(boot, image) as run:
        event = make()  # one that counts begins anew
        kernel = run.until(event, timeout, or_panic=True)
        if kernel is not None and (said := panicking(kernel)):
            remark(f"{said}, before {event}: it is shown as it stands there")
        yield run


def _in_snapshot(
    arguments: argparse.Namespace, ask: "Callable[[Kernel], T]", needs_types: bool
) -> T:
    if arguments.kernel is not None:
        raise UsageError("a snapshot has its own ELF: leave out --kernel")
    from rcdbg.model.kept import kernel_in

    kernel = kernel_in(arguments.snapshot, names(arguments))
    _checked(kernel.image, needs_types)
    return ask(kernel)


def _behind_stub(
    arguments: argparse.Namespace, ask: "Callable[[Kernel], T]", needs_types: bool
) -> T:
    from rcdbg.machine.stub.attach import attached
    from rcdbg.model.kernel import Kernel

    image = _checked(load_image(arguments.kernel or default_kernel()), needs_types)
    stay, hart = getattr(arguments, "stay", False), getattr(arguments, "hart", None)
    with attached(arguments.attach, stay=stay, hart=hart) as (target, _):
        warn(doubt_of(image, target.read_phys))
        return ask(Kernel.now(image, target, names(arguments)))


def note(sample: "Sample | None") -> dict[str, Any]:
    """The field that a document gets for a kernel that ran."""
    return {"sample": sample.document} if sample is not None else {}
