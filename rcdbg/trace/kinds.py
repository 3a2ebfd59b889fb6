"""The kinds of events that a trace can have: all that is known of each stands here, once.

Recorders, files, patterns, listings, pictures, exports, comparisons and docs/tracing.md take it
from here. A new kind is a row of `KINDS`, a method of an observer for what it is `seen_at` (if that
is new), and a row of `rcdbg.views.trace.drawings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rcdbg.errors import UsageError

FieldType = Literal["number", "text", "flag", "numbers", "values"]
"""`values` are named: a JSON object. Any of them may be null where it is not known."""

Comparison = Literal["whole", "part", "words", "name"]
"""How a text in a pattern is compared: with all of it but for its case; with a part of it; with a
part of its words, `_` and `-` being blanks; or with a path, of which the beginning and the offset
may be left out."""


@dataclass(frozen=True, slots=True)
class EventField:
    """What an event of a kind tells under a name.

    `unit` is what a number counts, in words; `moves` marks addresses, which another build of the
    same kernel has others of.
    """

    name: str
    meaning: str
    type: FieldType = "number"
    base: Literal["decimal", "hexadecimal"] = "decimal"
    unit: str = ""
    compared: Comparison = "whole"
    moves: bool = False


TICKS = "ticks"
"""The unit of fields that are times."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A sort of place where the machine is looked at: an observer handles it under `what`.

    With a `call`, it is the function of the kernel that its description has under that name
    (`rcdbg.kernels.description.CallsConcept`): its entry, found by the debug info or as a symbol,
    or, for `code`, places that the planner finds by ways of its own. `always` is for what tells
    whose thread it is, which every event says. Where it cannot be seen, events of its kinds are
    missed, unless it `only_helps`. `instead_of` another one: only where that cannot be seen.
    """

    what: str
    call: str = ""
    found_by: Literal["entry", "symbol", "code"] = "code"
    always: bool = False
    only_helps: bool = False
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event: its name, what it means, what it tells, and what has to be seen for it.

    `main` is the field that tells most: a value without a name is compared with it. `group` is the
    name of several kinds, "" for one that is recorded only when asked for. `subject` is the field
    with the id of the thread that it is about, if that is not the one that did it; `marked` tells
    whether it is a mark on a timeline.
    """

    name: str
    meaning: str
    fields: tuple[EventField, ...]
    main: str
    group: str
    seen_at: tuple[Sight, ...]
    subject: str = ""
    marked: bool = True
    by_name: Mapping[str, EventField] = field(init=False, repr=False, compare=False)
    """The fields by their names, in order."""
    hexadecimal: frozenset[str] = field(init=False, repr=False, compare=False)
    """The names of those that are shown so."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {one.name: one for one in self.fields})
        shown = frozenset(one.name for one in self.fields if one.base == "hexadecimal")
        object.__setattr__(self, "hexadecimal", shown)

    def field(self, name: str) -> EventField | None:
        """The field of that name; None if it has none."""
        return self.by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its fields, in order."""
        return tuple(self.by_name)


_TRAP_ENTER = Sight("trap_enter", always=True)
_TRAP_LEAVE = Sight("trap_leave", always=True)
_SATP = Sight("satp", always=True)
_READY = Sight("ready", "thread_ready", "entry", always=True)
_EXIT = Sight("exit", "thread_exit", "symbol", always=True)
_KILL = Sight("kill", "thread_kill", "entry", always=True)
# Where no function tells, the Thread says so itself once it has given up the hart.
_SLEEP = Sight("sleep", "thread_sleep", "entry", only_helps=True)
# Whoever wakes a thread makes it ready: only where that cannot be seen, this is looked at.
_WAKE = Sight("wake", "thread_wake", "entry", instead_of="ready")
_ALLOC = (Sight("alloc_return", "frame_alloc"), Sight("alloc_entry", "frame_alloc"))
_ECALL = Sight("ecall")


def _text(name: str, meaning: str, compared: Comparison = "whole") -> EventField:
    return EventField(name, meaning, "text", compared=compared)


def _hexadecimal(name: str, meaning: str, unit: str = "", *, moves: bool = False) -> EventField:
    return EventField(name, meaning, base="hexadecimal", unit=unit, moves=moves)


_PRIVILEGE = "U or S: "
_SAME_PLACE = "the same as symbol+offset, or null where no symbol is"
_THREAD = EventField("id", "thread id")
_FRAME = "frames"
_SEPC = "sepc"

_TRAPS = (
    EventKind(
        "trap_enter",
        "the hart enters the S-mode trap vector",
        (
            _text("cause", "in words", "words"),
            _hexadecimal("scause", "the CSR"),
            EventField("interrupt", "whether it is an interrupt", "flag"),
            _hexadecimal(_SEPC, "where it comes from", moves=True),
            _text("sepc_place", _SAME_PLACE),
            _hexadecimal("stval", "the CSR", moves=True),
            _text("privilege", f"{_PRIVILEGE}what was interrupted"),
            EventField("depth", "1, or more for a trap inside a trap"),
        ),
        main="cause",
        group="traps",
        seen_at=(_TRAP_ENTER,),
    ),
    EventKind(
        "trap_leave",
        "the hart is about to execute the sret that ends a trap",
        (
            _hexadecimal(_SEPC, "where it goes on", moves=True),
            _text("sepc_place", _SAME_PLACE),
            _text("privilege", f"{_PRIVILEGE}to what it returns"),
            EventField(
                "depth", "that of the trap which it ends; 0 if it ends none, as at the first thread"
            ),
        ),
        main="depth",
        group="traps",
        seen_at=(_TRAP_LEAVE,),
        marked=False,
    ),
)

_CALL = (
    EventField("number", "in a7"),
    _text("name", "if it is known", "name"),
    EventField("process", "the kernel's number of its process, if it has such"),
)
_SYSCALLS = (
    EventKind(
        "syscall",
        "user code asks the kernel for something",
        (
            *_CALL,
            EventField("arguments", "by their names; a0 to a5 where those are not known", "values"),
            _text("text", "what goes into the kernel, escaped; null for none", "part"),
            _hexadecimal(_SEPC, "of the ecall", moves=True),
        ),
        main="name",
        group="syscalls",
        seen_at=(_TRAP_ENTER, _TRAP_LEAVE),
    ),
    EventKind(
        "syscall_end",
        "a system call is over: user code goes on behind its ecall",
        (
            *_CALL,
            EventField("result", "in a0, with its sign; null if it cannot be told"),
            _text("text", "what came out of the kernel, escaped; null for none", "part"),
        ),
        main="name",
        group="syscalls",
        seen_at=(_TRAP_ENTER, _TRAP_LEAVE),
        marked=False,
    ),
)

_THREADS = (
    EventKind(
        "switch",
        "a trap ends in another thread than the one that was interrupted, or in the first one",
        (
            EventField(
                "from", "thread id, also of one that has just ended; null for the boot code"
            ),
            EventField("to", "thread id"),
            _text("why", "timer, sleep, exit, fault, start, yield or unknown"),
        ),
        main="to",
        group="threads",
        seen_at=(_TRAP_LEAVE, _SLEEP),
        marked=False,
    ),
    EventKind(
        "thread_add",
        "a new thread becomes ready",
        (_THREAD, EventField("stack", "[start, end)", "numbers", "hexadecimal")),
        main="id",
        group="threads",
        seen_at=(_READY,),
        subject="id",
    ),
    EventKind(
        "thread_exit",
        "a thread ends",
        (_THREAD, _text("why", "exit or fault")),
        main="id",
        group="threads",
        seen_at=(_EXIT, _KILL),
        subject="id",
    ),
    EventKind(
        "sleep",
        "the running thread goes to sleep",
        (_THREAD,),
        main="id",
        group="threads",
        seen_at=(_SLEEP,),
        subject="id",
    ),
    EventKind(
        "wake",
        "a sleeping thread joins the ready queue; its `sleeping` may have been cleared before",
        (_THREAD,),
        main="id",
        group="threads",
        seen_at=(_SLEEP, _WAKE),
        subject="id",
    ),
)

_MEMORY = (
    EventKind(
        "frame_alloc",
        "a frame is taken",
        (_hexadecimal("ppn", "its number, or null when none was free", _FRAME),),
        main="ppn",
        group="frames",
        seen_at=_ALLOC,
        marked=False,
    ),
    EventKind(
        "frame_free",
        "a frame is given back",
        (_hexadecimal("ppn", "its number", _FRAME),),
        main="ppn",
        group="frames",
        seen_at=(Sight("frame_free", "frame_dealloc", "entry"),),
        marked=False,
    ),
    EventKind(
        "map",
        "a page is mapped",
        (
            _hexadecimal("va", "its address"),
            _hexadecimal("pa", "the frame's address"),
            _text("flags", "of the entry, as asked for"),
        ),
        main="va",
        group="paging",
        seen_at=(Sight("map", "map_page", "entry"),),
        marked=False,
    ),
    EventKind(
        "unmap",
        "pages are unmapped",
        (_hexadecimal("va", "the first one's address"), EventField("pages", "how many")),
        main="va",
        group="paging",
        seen_at=(Sight("unmap", "unmap_pages", "entry"),),
        marked=False,
    ),
    EventKind(
        "satp",
        "another page table is active",
        (_text("mode", "Bare, Sv39, ..."), _hexadecimal("root_ppn", "PPN", _FRAME)),
        main="root_ppn",
        group="paging",
        seen_at=(_SATP,),
    ),
)

_CALLS = (
    EventKind(
        "timer_set",
        "the next timer interrupt is asked for",
        (EventField("deadline", "in guest ticks", unit=TICKS),),
        main="deadline",
        group="firmware",
        seen_at=(_ECALL,),
        marked=False,
    ),
    EventKind(
        "sbi",
        "a call of the firmware, but for the console's and the timer's",
        (
            _hexadecimal("extension", "EID"),
            EventField("function", "FID"),
            _text("name", "if it is known"),
            EventField("arguments", "a0 to a2", "numbers"),
        ),
        main="name",
        group="firmware",
        seen_at=(_ECALL,),
    ),
    EventKind(
        "console",
        "a line has been written to the console",
        (_text("text", "without its end", "part"),),
        main="text",
        group="firmware",
        seen_at=(_ECALL,),
    ),
    EventKind(
        "hit",
        "a function that the user named is entered",
        (_text("symbol", "name", "name"), EventField("arguments", "by their names", "values")),
        main="symbol",
        group="",
        seen_at=(Sight("hit"),),
    ),
)

KINDS: dict[str, EventKind] = {
    kind.name: kind for kind in (*_TRAPS, *_SYSCALLS, *_THREADS, *_MEMORY, *_CALLS)
}
"""Every kind by its name."""

DEFAULT_KINDS: tuple[str, ...] = tuple(name for name, kind in KINDS.items() if kind.group)
"""What is recorded unless the user chooses; `hit` comes with the functions that are named."""

GROUPS: dict[str, tuple[str, ...]] = {"all": DEFAULT_KINDS} | {
    group: tuple(name for name, kind in KINDS.items() if kind.group == group)
    for group in (kind.group for kind in KINDS.values())
    if group
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


def hexadecimal_fields(kind: str) -> frozenset[str]:
    """The names of a kind's fields that are shown in hexadecimal; none of an unknown kind."""
    return KINDS[kind].hexadecimal if kind in KINDS else frozenset()


def fields_where(kind: str, **wanted: object) -> frozenset[str]:
    """The names of a kind's fields that are declared so, as `unit="ticks"`."""
    known = KINDS.get(kind)
    if known is None:
        return frozenset()
    return frozenset(
        field.name
        for field in known.fields
        if all(getattr(field, name) == value for name, value in wanted.items())
    )
