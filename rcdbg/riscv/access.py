"""What an access through a page table entry may do, and which rule says no.

Privileged spec section 4.3.2 (the algorithm, steps 5 to 7), 4.1.1.2 (MXR, SUM) and 4.3.1 (A, D).
The steps before those are `rcdbg.riscv.paging.walk`; physical memory protection is not looked at.
"""

from dataclasses import dataclass
from typing import Literal

from rcdbg.riscv import pte
from rcdbg.riscv.paging import Walk

Access = Literal["read", "write", "fetch"]
Privilege = Literal["S", "U"]

ACCESSES: tuple[Access, ...] = ("read", "write", "fetch")
PRIVILEGES: tuple[Privilege, ...] = ("S", "U")

SUM = 1 << 18
"""sstatus.SUM: S-mode may load from and store to pages with U."""
MXR = 1 << 19
"""sstatus.MXR: loads may read pages that are only executable."""


UNDECIDED = ("mode", pte.EXTENSION)
"""Rules that end a walk of ours and not, or not surely, the hart's."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A rule that an access breaks: a short stable name, and in words why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an access is allowed.

    `allowed` is None where it is the hart that decides: a page whose A or D bit would have to be
    set first, which some do themselves (Svadu) and others answer with a fault; an entry of an
    extension; a scheme that is not known here. A walk that cannot be done claims no fault.
    """

    access: Access
    privilege: Privilege
    allowed: bool | None
    broken: tuple[AccessRule, ...] = ()
    """Every rule that says no, in the order of the specification; the first one decides."""


def verdict(
    walk: Walk, access: Access, privilege: Privilege, *, sum_: bool = False, mxr: bool = False
) -> Verdict:
    """Whether `access` at `privilege` may use the translation that `walk` found.

    `sum_` and `mxr` are the bits of sstatus. A walk without steps that has a physical address is
    a bare one: everything is allowed then.
    """
    leaf = walk.last_leaf
    if leaf is None:
        if walk.physical is not None:
            return Verdict(access, privilege, True)
        rule = AccessRule(walk.rule, walk.fault or "not known")
        return Verdict(access, privilege, None if walk.rule in UNDECIDED else False, (rule,))
    bits = leaf.pte.bits
    broken = _rights(bits, access, mxr) + _privilege(bits, access, privilege, sum_)
    if walk.fault is not None:
        return Verdict(access, privilege, False, (*broken, AccessRule(walk.rule, walk.fault)))
    if broken:
        return Verdict(access, privilege, False, broken)
    if pending := _accessed(bits, access):
        return Verdict(access, privilege, None, pending)
    return Verdict(access, privilege, True)


def verdicts(walk: Walk, sstatus: int) -> tuple[Verdict, ...]:
    """All three accesses from both privileges, under the SUM and MXR of that sstatus."""
    sum_, mxr = bool(sstatus & SUM), bool(sstatus & MXR)
    return tuple(
        verdict(walk, access, privilege, sum_=sum_, mxr=mxr)
        for privilege in PRIVILEGES
        for access in ACCESSES
    )


def _rights(bits: int, access: Access, mxr: bool) -> tuple[AccessRule, ...]:
    if access == "read" and not bits & pte.R and not (mxr and bits & pte.X):
        return (AccessRule("R", "R is clear, and MXR, under which X would do, is off"),)
    if access == "write" and not bits & pte.W:
        return (AccessRule("W", "W is clear"),)
    if access == "fetch" and not bits & pte.X:
        return (AccessRule("X", "X is clear"),)
    return ()


def _privilege(
    bits: int, access: Access, privilege: Privilege, sum_: bool
) -> tuple[AccessRule, ...]:
    if privilege == "U":
        return () if bits & pte.U else (AccessRule("U", "U is clear: not for U-mode"),)
    if not bits & pte.U:
        return ()
    if access == "fetch":
        return (AccessRule("U-fetch", "U is set: S-mode never fetches from a user page"),)
    return () if sum_ else (AccessRule("SUM", "U is set, and SUM is off"),)


def _accessed(bits: int, access: Access) -> tuple[AccessRule, ...]:
    missing = [name for name, bit in (("A", pte.A), ("D", pte.D)) if not bits & bit]
    if access != "write" and "D" in missing:
        missing.remove("D")
    how = "is clear: the hart sets it, or faults where it does not (Svade)"
    return tuple(AccessRule(name, f"{name} {how}") for name in missing)
