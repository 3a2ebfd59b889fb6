"""In which kind of code an address lies."""

from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment


@once_a_moment
def in_trap_code(kernel: Kernel, pc: int) -> bool:
    """Whether that is code where sp may be anybody's: a trap's entry or exit, or no symbol's."""
    found = kernel.image.symbols.at(kernel.linked(pc))
    if found is None:
        return True
    trap = kernel.description.trap
    name, offset = found
    start = kernel.linked(pc) - offset
    for names in (trap.entry, trap.exit, trap.resumes):
        for wanted in names:
            if name == wanted or kernel.symbol(wanted) == start:
                return True
    # Code without debug info is assembly, which may do with sp as it likes.
    return kernel.image.has_debug_info and kernel.image.functions.at(kernel.linked(pc)) is None
