"""What rules need to know of a kernel, each by name: why it is not known, in words, or ""."""

from collections.abc import Callable, Mapping

from rcdbg.doctor.examination import Examination
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.threads.processor import read_processor

_LOCKED = "it is being changed at this moment: its lock is held"


def unmet(examination: Examination, needs: tuple[str, ...]) -> str:
    """Why the first of these needs is not met; "" where all are."""
    return next((f"{name}: {why}" for name in needs if (why := NEEDS[name](examination))), "")


def _types(examination: Examination) -> str:
    known = examination.kernel.image.has_debug_info
    return "" if known else "the ELF has no debug info: build the kernel with `debug = true`"


def _supervisor(examination: Examination) -> str:
    in_firmware = examination.kernel.registers.privilege == 3
    return "the hart is in M-mode: its registers are the firmware's" if in_firmware else ""


def _paging(examination: Examination) -> str:
    on = examination.kernel.memory.satp.translates
    return "" if on else "paging is off at this moment"


def _threads(examination: Examination) -> str:
    found = read_processor(examination.kernel)
    if found.threads or not found.unknown:
        return ""
    return found.note or "; ".join(p.why for p in found.problems) or "none are found"


def _frames(examination: Examination) -> str:
    found = read_frames(examination.kernel)
    if found.is_known and found.managed is not None:
        return _LOCKED if found.locked else ""
    return found.note or "; ".join(p.why for p in found.problems) or "which are managed"


def _heap(examination: Examination) -> str:
    found = read_heap(examination.kernel)
    if found.total is None:
        return found.note or "; ".join(p.why for p in found.problems) or "not found"
    return ""


def _spaces(examination: Examination) -> str:
    found = read_memory_sets(examination.kernel)
    if found.sets:
        return ""
    return found.note or "; ".join(p.why for p in found.problems) or "none are found"


def _events(examination: Examination) -> str:
    return "nothing was recorded" if examination.events is None else ""


def _looks(examination: Examination) -> str:
    return "it was looked at once (`--hang` looks again)" if examination.looks is None else ""


def _console(examination: Examination) -> str:
    return "what was printed before is not known" if examination.console is None else ""


NEEDS: Mapping[str, Callable[[Examination], str]] = {
    "debug info": _types,
    "S-mode": _supervisor,
    "paging": _paging,
    "threads": _threads,
    "frames": _frames,
    "heap": _heap,
    "address spaces": _spaces,
    "events": _events,
    "console": _console,
    "looks": _looks,
}
"""The names are those that the list of what was not checked begins with."""
