"""The table: every rule of the doctor. A rule more is a row, a function and its text.

A code is the class of a fault, and stays what it is: RC01 panics, RC02 traps and page faults, RC03
page tables, RC04 threads, RC05 stacks, RC06 frames, RC07 the heap, RC08 locks, cells and hangs,
RC09 the kernel's own code.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A rule: which class of faults it finds, and what it has to know of the kernel for it."""

    code: str
    name: str
    """What was looked at, as a list of what is in order says it."""
    rule: str
    """"module:function" of an Examination; yields Findings with this code. The module is named from
    `rcdbg.doctor.rules` on."""
    needs: tuple[str, ...] = ()
    """Of `rcdbg.doctor.needs`: without one of them it is told of as not checked."""


CHECKS: tuple[Check, ...] = (Check("RC0101", "panics", "panics:panicked", ("S-mode",)),)
"""All of them, by code."""
