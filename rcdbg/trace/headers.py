"""The header of a recording, whoever makes it: a recorder, gdb, or a test's story."""

from rcdbg.image.elf import Image
from rcdbg.trace.moment import TIMEBASE_HZ, Clock
from rcdbg.trace.observers.probes import Plan
from rcdbg.trace.record import TraceHeader


def make_header(
    image: Image,
    plan: Plan,
    *,
    backend: str,
    clock: Clock = "exact",
    deterministic: bool = False,
    append: str = "",
) -> TraceHeader:
    """What a recording by that plan is made of: the kernel's names, what is seen and what is not.

    `append` is the kernel's command line, as far as it is known.
    """
    return TraceHeader(
        backend=backend,
        clock=clock,
        deterministic=deterministic,
        kinds=plan.kinds,
        hits=plan.hits,
        kernel=image.path.name,
        build_id=image.build_id or "",
        append=append,
        timebase_hz=TIMEBASE_HZ,
        unseen=dict(plan.unseen),
    )
