"""The kinds of events that a trace can have, and what each of them tells."""

from dataclasses import dataclass

from rcdbg.errors import UsageError


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: its name, what it means, and its fields with their meaning."""

    name: str
    meaning: str
    fields: dict[str, str]


_ALL = (
    Kind(
        "trap_enter",
        "the hart enters the S-mode trap vector",
        {
            "cause": "in words",
            "scause": "the CSR",
            "interrupt": "whether it is an interrupt",
            "sepc": "where it comes from",
            "sepc_place": "the same as symbol+offset, or null where no symbol is",
            "stval": "the CSR",
            "privilege": "U or S: what was interrupted",
            "depth": "1, or more for a trap inside a trap",
        },
    ),
    Kind(
        "trap_leave",
        "the hart is about to execute the sret that ends a trap",
        {
            "sepc": "where it goes on",
            "sepc_place": "the same as symbol+offset, or null where no symbol is",
            "privilege": "U or S: to what it returns",
            "depth": "that of the trap which it ends; 0 if it ends none, as at the first thread",
        },
    ),
    Kind(
        "switch",
        "a trap ends in another thread than the one that was interrupted, or in the first one",
        {
            "from": "thread id, also of one that has just ended; null for the boot code",
            "to": "thread id",
            "why": "timer, sleep, exit, fault, start, yield or unknown",
        },
    ),
    Kind("thread_add", "a new thread becomes ready", {"id": "thread id", "stack": "[start, end)"}),
    Kind("thread_exit", "a thread ends", {"id": "thread id", "why": "exit or fault"}),
    Kind("sleep", "the running thread goes to sleep", {"id": "thread id"}),
    Kind(
        "wake",
        "a sleeping thread joins the ready queue; its `sleeping` may have been cleared before",
        {"id": "thread id"},
    ),
    Kind("frame_alloc", "a frame is taken", {"ppn": "its number, or null when none was free"}),
    Kind("frame_free", "a frame is given back", {"ppn": "its number"}),
    Kind(
        "map",
        "a page is mapped",
        {"va": "its address", "pa": "the frame's address", "flags": "of the entry, as asked for"},
    ),
    Kind("unmap", "pages are unmapped", {"va": "the first one's address", "pages": "how many"}),
    Kind("satp", "another page table is active", {"mode": "Bare, Sv39, ...", "root_ppn": "PPN"}),
    Kind("timer_set", "the next timer interrupt is asked for", {"deadline": "in guest ticks"}),
    Kind(
        "sbi",
        "a call of the firmware, but for the console's and the timer's",
        {"extension": "EID", "function": "FID", "name": "if it is known", "arguments": "a0 to a2"},
    ),
    Kind("console", "a line has been written to the console", {"text": "without its end"}),
    Kind("hit", "a function that the user named is entered", {"symbol": "name", "arguments": "{}"}),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""Every kind by its name."""

DEFAULT_KINDS: tuple[str, ...] = tuple(name for name in KINDS if name != "hit")
"""What is recorded unless the user chooses; `hit` comes with the functions that are named."""

GROUPS: dict[str, tuple[str, ...]] = {
    "all": DEFAULT_KINDS,
    "traps": ("trap_enter", "trap_leave"),
    "threads": ("switch", "thread_add", "thread_exit", "sleep", "wake"),
    "frames": ("frame_alloc", "frame_free"),
    "paging": ("map", "unmap", "satp"),
    "firmware": ("timer_set", "sbi", "console"),
}
"""Names that stand for several kinds."""


def parse_kinds(text: str) -> tuple[str, ...]:
    """The kinds that a list such as "traps,switch" names; raises UsageError for an unknown one."""
    chosen: set[str] = set()
    for word in text.split(","):
        name = word.strip()
        if name in GROUPS:
            chosen.update(GROUPS[name])
        elif name in KINDS:
            chosen.add(name)
        else:
            known = ", ".join((*GROUPS, *KINDS))
            raise UsageError(f"no kind of event {name!r}; known: {known}")
    return tuple(name for name in KINDS if name in chosen)
