"""The table: every rule of the doctor. A rule more is a row, a function and its text.

A code is the class of a fault, and stays what it is: RC01 panics, RC02 traps and page faults, RC03
page tables, RC04 threads, RC05 stacks, RC06 frames, RC07 the heap, RC08 locks, cells and hangs,
RC09 the kernel's own code.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A rule: which class of faults it finds, and what it has to know of the kernel for it."""

    code: str
    """The first of those that it finds."""
    name: str
    """What was looked at, as a list of what is in order says it."""
    rule: str
    """"module:function" of an Examination; yields Findings with this code, or one of `also`. The
    module is named from `rcdbg.doctor.rules` on."""
    needs: tuple[str, ...] = ()
    """Of `rcdbg.doctor.needs`: without one of them it is told of as not checked."""
    also: tuple[str, ...] = ()
    """More codes of the same rule."""

    @property
    def codes(self) -> tuple[str, ...]:
        """All that it may find."""
        return (self.code, *self.also)


_SPACES = ("debug info", "paging", "address spaces")
_FRAMES = ("debug info", "frames")
_THREADS = ("debug info", "threads")

CHECKS: tuple[Check, ...] = (
    Check("RC0101", "panics", "panics:panicked", ("S-mode",)),
    Check("RC0201", "page faults: unmapped addresses", "faults:unmapped", ("S-mode",)),
    Check("RC0202", "page faults: pages of the other privilege", "faults:privilege", ("S-mode",)),
    Check("RC0203", "page faults: rights", "faults:rights", ("S-mode",)),
    Check("RC0204", "page faults: stale translations", "faults:stale", ("S-mode",)),
    Check("RC0205", "null pointers", "faults:null", ("S-mode",)),
    Check("RC0206", "illegal instructions", "faults:illegal", ("S-mode",)),
    Check("RC0207", "access faults", "faults:no_memory", ("S-mode",)),
    Check("RC0208", "faults below a stack", "faults:overflow", ("S-mode",)),
    Check("RC0209", "faults in a trap's entry", "faults:entry", ("S-mode",)),
    Check("RC0210", "endless trap loops", "traps:loop", ("S-mode",)),
    Check("RC0211", "traps inside a handler", "traps:nested", ("S-mode",)),
    Check("RC0212", "sepc behind a trap", "traps:sepc", ("S-mode",)),
    Check("RC0213", "stvec", "traps:stvec", ("S-mode",)),
    Check(
        "RC0214",
        "the course of traps",
        "course:disorders",
        ("events",),
        ("RC0212", "RC0215", "RC0216"),
    ),
    Check("RC0301", "the page table in satp", "paging.spaces:wrong_table", (*_THREADS, *_SPACES)),
    Check("RC0302", "segments", "paging.spaces:books_differ", _SPACES),
    Check("RC0303", "PTEs", "paging.tables:refused", ("paging",)),
    Check("RC0304", "rights", "paging.tables:kernel_for_users", ("paging",)),
    Check("RC0305", "W on code", "paging.tables:code_writable", ("paging",)),
    Check("RC0401", "threads", "tasks.threads:broken_invariants", _THREADS),
    Check("RC0402", "parked Contexts", "tasks.threads:parked_nonsense", _THREADS),
    Check("RC0501", "stacks", "tasks.stacks:overflowed", _THREADS),
    Check("RC0502", "room on stacks", "tasks.stacks:nearly_full", _THREADS),
    Check("RC0503", "the stack in use", "tasks.stacks:unmapped_in_use", ("S-mode", "paging")),
    Check("RC0504", "alignment of sp", "tasks.stacks:misaligned", ("debug info", "S-mode")),
    Check("RC0601", "free frames", "memory.frames:free_list", _FRAMES),
    Check("RC0602", "owners of frames", "memory.frames:conflicts", _FRAMES, ("RC0603", "RC0604")),
    Check("RC0701", "the heap's room", "memory.heap:exhausted", ("debug info", "heap")),
    Check("RC0702", "the heap's books", "memory.heap:broken", ("debug info", "heap")),
    Check("RC0801", "borrowed cells", "cells:borrowed_twice", ("debug info", "S-mode")),
    Check(
        "RC0811",
        "whether it goes on",
        "hang:verdict",
        ("looks",),
        ("RC0812", "RC0813", "RC0814", "RC0815", "RC0816"),
    ),
    Check("RC0901", "the kernel's code", "image:code_changed", (), ("RC0902",)),
)
"""All of them, by code."""

FOLLOWS: Mapping[str, tuple[str, ...]] = {"RC02": ("RC0301", "RC0603")}
"""By the beginning of a code: faults that lead to those, where both are found. With another table
in satp, or one that was freed, any access may fault."""

CODES: tuple[str, ...] = tuple(sorted({code for check in CHECKS for code in check.codes}))
"""Of all faults that a rule may find."""
