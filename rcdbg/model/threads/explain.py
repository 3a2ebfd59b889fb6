"""One CSR with every field explained, or what it is for where its value is not to be had."""

from dataclasses import dataclass

from rcdbg.errors import UsageError
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.trap import read_hart
from rcdbg.riscv.csr import SPECS, Csr, decode

_NO_TIME = (
    ": QEMU's gdb stub has no such register, and the timer behind it was not found in QEMU's "
    "monitor, or not kept in the snapshot"
)


@dataclass(frozen=True, slots=True)
class ExplainedCsr:
    """A CSR that somebody wants to know all about."""

    name: str
    csr: Csr | None
    note: str = ""
    """Why there is no value, where there is none."""


def explain_csr(kernel: Kernel, name: str) -> ExplainedCsr:
    """The CSR of that name; raises UsageError for one that is not known."""
    if name not in SPECS:
        raise UsageError(f"{name!r} is no CSR that rcdbg knows: {', '.join(SPECS)}")
    hart = read_hart(kernel)
    found = hart.csr(name)
    if name == "privilege" and hart.privilege is not None:
        found = decode(name, hart.privilege)
    if found is not None:
        return ExplainedCsr(name, found)
    why = _NO_TIME if name == "time" else ""
    return ExplainedCsr(name, None, f"the target does not give {name}{why}")
