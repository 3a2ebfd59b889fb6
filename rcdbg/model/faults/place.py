"""Where the hart is in the way into a trap."""

from rcdbg.model.faults.moment import vector_of
from rcdbg.model.kernel import Kernel
from rcdbg.riscv.registers import unsigned


def in_the_entry(kernel: Kernel, address: int) -> bool:
    """Whether an address is in the code that saves the registers, or in that which restores them.

    In kernels that run user code in a call, that code is also what calls it.
    """
    trap = kernel.description.trap
    if trap.resumes:
        return False
    symbol = kernel.image.symbols.covering(kernel.linked(address))
    if symbol is None:
        return False
    if symbol.name in trap.entry or symbol.name in trap.exit:
        return True
    vector = vector_of(kernel)
    return not trap.entry and vector is not None and symbol.address == kernel.linked(vector)


def is_at_its_first_instruction(kernel: Kernel) -> bool:
    """Whether the hart has just trapped, or is about to handle it: nothing can be mended yet."""
    pc = unsigned(kernel.registers.pc)
    handler = kernel.first_symbol(kernel.description.trap.handler)
    return pc == vector_of(kernel) or in_the_entry(kernel, pc) or kernel.linked(pc) == handler
