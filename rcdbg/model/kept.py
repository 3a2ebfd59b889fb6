"""A kernel out of a snapshot: a moment that was kept, with the ELF that it belongs to."""

from pathlib import Path

from rcdbg.guest.snapshot import read_snapshot
from rcdbg.image.elf import image_of
from rcdbg.kernels.reading import Overlay
from rcdbg.model.kernel import Kernel


def kernel_in(file: Path | str, overlay: Overlay) -> Kernel:
    """The kernel in a snapshot; raises TargetError or ImageError if there is none."""
    snapshot = read_snapshot(Path(file).expanduser())
    image = image_of(snapshot.elf, Path(f"{file}:{snapshot.kernel_name}"))
    return Kernel.now(image, snapshot.target, overlay)
