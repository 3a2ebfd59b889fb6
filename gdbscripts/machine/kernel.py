"""The kernel at this stop, for commands, functions, printers and unwinders alike.

It is kept as long as nothing can have changed it. gdb tells of stops, of `set var` and of other
files; of what `monitor` does it tells nothing. So each command of ours and each function starts
with `forget`, and what is used many times in between (printers, unwinders) shares one kernel.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import gdb

from gdbscripts.machine.connection import demand_machine
from rcdbg.errors import ImageError
from rcdbg.escape import safe_lines

if TYPE_CHECKING:
    # Imported by the first command that needs them: `source` stays quick.
    from rcdbg.image.elf import Image
    from rcdbg.kernels.description import Description
    from rcdbg.kernels.reading import Overlay
    from rcdbg.model.kernel import Kernel


@functools.lru_cache(maxsize=2)
def _image(path: str, mtime_ns: int, size: int) -> Image:
    from rcdbg.image.elf import load_image

    return load_image(Path(path))


def current_image() -> Image:
    """The image of the ELF that gdb has loaded; raises ImageError without one."""
    space = gdb.current_progspace()
    name = space.filename if space else None
    if not name:
        raise ImageError("gdb has no ELF: file PATH/TO/os")
    try:
        status = Path(name).stat()
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror}") from error
    return _image(name, status.st_mtime_ns, status.st_size)


_kernel: Kernel | None = None
"""The kernel of this stop."""


_doubt: str | None = None
"""Why the ELF may not be the kernel that runs, as it was told last."""


_overlay: Overlay | None = None
"""What the user says of the kernel's names; None for nothing."""


def use_names(overlay: Overlay) -> None:
    """Look for these names from now on."""
    global _overlay  # noqa: PLW0603
    _overlay = overlay
    forget()


def current_names() -> Overlay:
    """What the user says of the kernel's names."""
    from rcdbg.kernels.reading import NOTHING

    return _overlay or NOTHING


def current_description() -> Description:
    """What the kernel in gdb's ELF calls its things; raises RcdbgError without an ELF."""
    from rcdbg.kernels.recognise import describe

    return describe(current_image(), current_names())


def forget(*_: object) -> None:
    """Whatever was read of the machine may have changed."""
    global _kernel  # noqa: PLW0603  # gdb's events reach module-level functions only
    _kernel = None


def current_kernel() -> Kernel:
    """The kernel at this stop; raises RcdbgError if there is none, or the ELF is another one."""
    global _kernel  # noqa: PLW0603
    image = current_image()
    demand_machine()
    if _kernel is None or _kernel.image is not image:
        from gdbscripts.machine.target import GdbTarget
        from rcdbg.image.match import doubt_of
        from rcdbg.kernels.reading import NOTHING
        from rcdbg.model.kernel import Kernel

        kernel = Kernel.now(image, GdbTarget(), _overlay or NOTHING)
        _warn(doubt_of(image, kernel.target.read_phys))
        _kernel = kernel
    return _kernel


def _warn(doubt: str | None) -> None:
    """Say it once, and not at each stop."""
    global _doubt  # noqa: PLW0603
    if doubt is not None and doubt != _doubt:
        gdb.write(f"rcdbg: warning: {safe_lines(doubt)}\n", gdb.STDERR)
    _doubt = doubt


def fresh_kernel() -> Kernel:
    """The kernel as it is now, whatever was kept; raises as `current_kernel`."""
    from gdbscripts.machine.target import find_timer, refresh_registers

    forget()
    current_image()
    demand_machine()
    refresh_registers()
    find_timer()
    return current_kernel()


def follow_changes() -> None:
    """Drop what was kept when gdb tells of a change."""
    for name in ("stop", "cont", "exited", "new_objfile", "clear_objfiles", "memory_changed",
                 "register_changed", "inferior_call", "before_prompt",
                 "connection_removed"):  # fmt: skip
        registry = getattr(gdb.events, name, None)
        if registry is not None:  # this gdb has it
            registry.connect(forget)
