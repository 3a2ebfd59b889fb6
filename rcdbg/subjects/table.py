"""The table: everything that can be asked for by name.

A subject more is an entry more: a function of `model/` that reads it, one of `views/` that draws
it, one of `model/serial/` that serialises it. `rcdbg show`, the commands of `rc` with their help
and completion, the report and docs/json.md follow from the entry.
"""

from rcdbg.subjects.subject import Alternative, Argument, Reading, Subject
from rcdbg.words import Option

TASK = "--task"
"""Names the thread that a question is about, where that is not the one on the hart."""
ROOTS = ("--process", "--root", "--satp", TASK)
"""Options that name a page table: a process, a frame, a value of satp; or a thread."""
DIFF_ROOTS = ("--diff-process", "--diff-root", "--diff-satp")
"""The same for a second one."""

_TASK = Option(
    TASK, "of that thread, by id, address or name", "ID", also=("--thread",), offers="thread"
)
_ROOTS = (
    Option("--process", "the table of that process, by number or name", "N"),
    Option("--root", "the table in that frame", "PPN"),
    Option("--satp", "the table that this satp would name", "VALUE"),
    _TASK,
)
_FILTERS = (
    Option("--writable", "only what can be written to"),
    Option("--executable", "only what can be run"),
    Option("--user", "only what U-mode may use"),
    Option("--from", "only what reaches above VA", "VA", offers="symbol"),
    Option("--to", "only what begins below VA", "VA", offers="symbol"),
    Option("--by-physical", "sort by physical address"),
)
_INSTEAD = (
    Option("--lint", "instead: what is odd about the table"),
    Option("--aliases", "instead: memory mapped repeatedly"),
    Option("--to-physical", "instead: the virtual addresses that lead to PA", "PA"),
    Option("--diff-process", "instead: compare with that process's", "N"),
    Option("--diff-root", "instead: compare with that table", "PPN"),
    Option("--diff-satp", "instead: compare with that table", "VALUE"),
    Option("--against", "instead: compare with the table in that snapshot", "FILE", offers="file"),
)
_WHOLE = "looks at the whole table: it takes no filter"

_BACKTRACE = Option(
    "--backtrace",
    "with threads: the call stack of each one; with context: of the hart",
    also=("--bt",),
)
_HART_STACK = Reading(
    "backtrace",
    "rcdbg.subjects.questions:hart_stack",
    "rcdbg.views.threads.backtrace:view_hart",
    "rcdbg.model.serial.state:hart_stack",
    needs_types=False,
    asks=True,
    note="with `trap`",
)
_CALL_STACKS = Reading(
    "threads",
    "rcdbg.model.threads.call_stacks:read_call_stacks",
    "rcdbg.views.threads.backtrace:view_all",
    "rcdbg.model.serial.state:call_stacks",
    note="with `backtraces` by the Thread's address",
)


def _of_tables(key: str, question: str, draw: str, serialise: str) -> Reading:
    """A question about page tables, which tell all by themselves."""
    read = f"rcdbg.subjects.page_tables:{question}"
    return Reading(key, read, draw, serialise, needs_types=False, asks=True)


def _question(name: str) -> Reading:
    views, serial = "rcdbg.views.memory.mappings", "rcdbg.model.serial.tables"
    return _of_tables(name, name, f"{views}:{name}", f"{serial}:{name}")


_DIFF = _question("diff")
_MOMENTS = _of_tables(
    "diff", "moments", "rcdbg.views.memory.mappings:diff", "rcdbg.model.serial.tables:diff"
)

SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "context",
        "the Context of the trap that is being handled",
        Reading(
            "trap",
            "rcdbg.subjects.questions:context",
            "rcdbg.views.hart.context:view",
            "rcdbg.model.serial.state:trap",
            asks=True,
        ),
        options=(_BACKTRACE, _TASK),
        variants=(Alternative(("--backtrace",), _HART_STACK, (TASK,)),),
        title="Context",
        panel="rcdbg.views.state:context_panel",
    ),
    Subject(
        "csr",
        "the supervisor CSRs, with their fields in words",
        Reading(
            "csrs",
            "rcdbg.model.threads.trap:read_hart",
            "rcdbg.views.hart.csr:view",
            "rcdbg.model.serial.state:csrs",
            needs_types=False,
        ),
        options=(
            Option(
                "--explain",
                "one CSR with every field explained: sstatus, ...",
                "NAME",
                offers="csr",
            ),
        ),
        variants=(
            Alternative(
                ("--explain",),
                Reading(
                    "csr",
                    "rcdbg.subjects.questions:explain",
                    "rcdbg.views.hart.csr:explained",
                    "rcdbg.model.serial.tables:explained",
                    needs_types=False,
                    asks=True,
                ),
            ),
        ),
        title="CSRs",
        panel="rcdbg.views.state:csr_panel",
    ),
    Subject(
        "fault",
        "why the hart trapped: the access, the rule that forbade it, what is near",
        Reading(
            "fault",
            "rcdbg.model.faults.explain:read_fault",
            "rcdbg.views.hart.fault:view",
            "rcdbg.model.serial.faults:fault",
            needs_types=False,
        ),
    ),
    Subject(
        "pagetable",
        "the page table in satp, equal neighbours merged",
        _of_tables(
            "page_table",
            "table",
            "rcdbg.views.memory.page_table:view",
            "rcdbg.model.serial.state:page_table",
        ),
        options=(*_ROOTS, *_FILTERS, *_INSTEAD),
        variants=(
            Alternative(("--lint",), _question("lint"), ROOTS, _WHOLE),
            Alternative(("--aliases",), _question("aliases"), ROOTS, _WHOLE),
            Alternative(("--to-physical",), _question("reverse"), ROOTS, _WHOLE),
            Alternative(DIFF_ROOTS, _DIFF, ROOTS, _WHOLE),
            Alternative(("--against",), _MOMENTS, (*ROOTS, *DIFF_ROOTS), _WHOLE),
        ),
        title="Page table",
        panel="rcdbg.views.state:page_table_panel",
    ),
    Subject(
        "frames",
        "the physical frames: free intervals, used, total",
        Reading(
            "frames",
            "rcdbg.model.memory.frames:read_frames",
            "rcdbg.views.memory.frames:view",
            "rcdbg.model.serial.state:frames",
        ),
        title="Frames",
        panel="rcdbg.views.state:frames_panel",
    ),
    Subject(
        "threads",
        "the threads: running, ready in their order, sleeping",
        Reading(
            "threads",
            "rcdbg.model.threads.call_stacks:read_threads",
            "rcdbg.views.threads.threads:view",
            "rcdbg.model.serial.state:threads",
        ),
        options=(_BACKTRACE,),
        variants=(Alternative(("--backtrace",), _CALL_STACKS),),
        title="Threads",
        panel="rcdbg.views.state:threads_panel",
    ),
    Subject(
        "processes",
        "the processes: parent, children, threads, and the exit codes of zombies",
        Reading(
            "processes",
            "rcdbg.model.tasks.relatives:read_processes",
            "rcdbg.views.threads.processes:view",
            "rcdbg.model.serial.tasks:processes",
        ),
        title="Processes",
    ),
    Subject(
        "locks",
        "the locks and cells that are taken, and by whom",
        Reading(
            "locks",
            "rcdbg.model.tasks.locks:read_locks",
            "rcdbg.views.threads.locks:view",
            "rcdbg.model.serial.tasks:locks",
        ),
        title="Locks",
    ),
    Subject(
        "programs",
        "the programs for U-mode that were found: in the kernel, on its disks, beside it",
        Reading(
            "programs",
            "rcdbg.model.programs.listed:read_programs",
            "rcdbg.views.threads.programs:view",
            "rcdbg.model.serial.tasks:programs",
            needs_types=False,
        ),
    ),
    Subject(
        "memoryset",
        "the address spaces: each segment beside what the page table says",
        Reading(
            "memory_sets",
            "rcdbg.subjects.questions:memory_sets",
            "rcdbg.views.memory.memory_set:view",
            "rcdbg.model.serial.tables:memory_sets",
            asks=True,
        ),
        options=(_TASK,),
        title="Memory sets",
    ),
    Subject(
        "owners",
        "who has each physical frame: a page table, a page, something else, or nobody",
        Reading(
            "owners",
            "rcdbg.model.memory.frame_owners:read_frame_owners",
            "rcdbg.views.memory.frame_map:view",
            "rcdbg.model.serial.memory:owners",
        ),
        title="Owners of frames",
        summary="rcdbg.views.memory.frame_map:summary",
    ),
    Subject(
        "heap",
        "the kernel heap: free blocks by order, requested against allocated",
        Reading(
            "heap",
            "rcdbg.model.memory.heap:read_heap",
            "rcdbg.views.memory.heap:view",
            "rcdbg.model.serial.memory:heap",
        ),
        title="Heap",
    ),
    Subject(
        "doctor",
        "what is wrong with the kernel: faults, what shows each, what to do",
        Reading(
            "diagnosis",
            "rcdbg.doctor.examine:diagnose",
            "rcdbg.views.doctor:view",
            "rcdbg.doctor.serial:diagnosis",
            needs_types=False,
        ),
        title="Doctor",
        summary="rcdbg.views.doctor:summary",
    ),
    Subject(
        "backtrace",
        "the call stack, through the trap into the code that it interrupted",
        _HART_STACK,
        options=(_BACKTRACE, _TASK),
        variants=(Alternative(("--backtrace",), _HART_STACK, (TASK,)),),
    ),
    Subject("backtraces", "the threads, each with its call stack", _CALL_STACKS),
    Subject(
        "all",
        "everything",
        Reading(
            "state",
            "rcdbg.subjects.report:read_report",
            "rcdbg.subjects.report:view",
            "rcdbg.subjects.report:serialise",
        ),
    ),
)
"""What can be shown."""

QUESTIONS: tuple[Subject, ...] = (
    Subject(
        "walk",
        "an address through the page table, level by level",
        _of_tables(
            "walk",
            "translate",
            "rcdbg.views.memory.walk:view",
            "rcdbg.model.serial.state:translation",
        ),
        options=_ROOTS,
        argument=Argument("ADDRESS", "an address: 0x..., or a symbol", offers="symbol"),
        verb="walk",
        details="The table is the one in satp, unless an option names another. In gdb, ADDRESS may "
        "be any expression.",
        examples=("walk 0xffffffff80200000", "walk $sp", "walk handle_interrupt --process 0"),
    ),
    Subject(
        "thread",
        "one thread in full: what it does, its stack, its Context, its call stack",
        Reading(
            "thread",
            "rcdbg.subjects.questions:thread",
            "rcdbg.views.threads.backtrace:view_thread",
            "rcdbg.model.serial.state:call_stack",
            asks=True,
            note="with `backtrace`",
        ),
        argument=Argument(
            "ID", "a thread's id, as `threads` has it", number=(0, 1 << 63), offers="thread"
        ),
        examples=("thread 3",),
    ),
    Subject(
        "print",
        "a static of the kernel, or a part of one, as Rust means it",
        Reading(
            "value",
            "rcdbg.subjects.questions:value",
            "rcdbg.views.value:view",
            "rcdbg.model.serial.values:node",
            asks=True,
            note="see [values](decoders/values.md)",
        ),
        options=(
            Option("--depth", "levels of fields to show (default: 6)", "N", number=(0, 32)),
            Option("--elements", "elements of a collection (default: 32)", "N", number=(0, 4000)),
        ),
        argument=Argument("PATH", "a path (default: list the statics)", False, offers="path"),
        without=Reading(
            "statics",
            "rcdbg.subjects.questions:statics",
            "rcdbg.views.value:statics_view",
            "rcdbg.model.serial.values:statics",
        ),
        verb="print",
        details="PATH starts with a static (its full path, the end of it, or its name) and goes on "
        "with .FIELD, [INDEX] or [KEY]; * in front follows a pointer. Locks, Arcs, Options and "
        "cells are looked through. Without PATH: the list of statics.",
        examples=(
            "print PROCESSOR",
            "print os::process::PROCESSOR.scheduler.pool[2].id",
            'print TABLE["key"].name --depth 2',
        ),
    ),
)
"""What can be asked with an argument."""


def subject(name: str) -> Subject:
    """The entry of that name; raises KeyError."""
    return {entry.name: entry for entry in (*SUBJECTS, *QUESTIONS)}[name]
