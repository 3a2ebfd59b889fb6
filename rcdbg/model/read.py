"""The one entry: everything that is known about a kernel at this moment."""

from rcdbg.guest.protocol import Target
from rcdbg.image.elf import Image
from rcdbg.model.kernel import DEFAULT_PROFILE, Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.page_table import read_page_table
from rcdbg.model.profile import Profile
from rcdbg.model.state import KernelState
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.trap import read_hart, read_trap


def read_kernel(image: Image, target: Target, profile: Profile = DEFAULT_PROFILE) -> KernelState:
    """The state of the kernel that `image` describes, as `target` holds it now.

    Nonsense in memory becomes Problems inside the result; raises TargetError only if the machine
    itself does not answer.
    """
    return read_state(Kernel.now(image, target, profile))


def read_state(kernel: Kernel) -> KernelState:
    """The same for a moment that is already bound."""
    return KernelState(
        read_hart(kernel),
        read_trap(kernel),
        read_page_table(kernel),
        read_frames(kernel),
        read_processor(kernel),
    )
