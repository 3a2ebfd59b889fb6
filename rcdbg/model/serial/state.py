"""A KernelState as JSON: documented in docs/json.md, versioned by SCHEMA.

Addresses and register values are strings ("0xffffffff80200000"), since 64 bits do not survive
JavaScript's numbers; counts, ids and frame numbers are numbers. What is not known is null.
"""

from collections.abc import Iterable
from typing import Any

from rcdbg.model.state import (
    Backtrace,
    Context,
    FrameAllocator,
    Hart,
    Interval,
    KernelState,
    MappedRange,
    PageTable,
    Place,
    Problem,
    Processor,
    Stack,
    SwitchFrame,
    Thread,
    Translation,
    Trap,
    Wait,
)
from rcdbg.model.syscalls.call import Syscall
from rcdbg.model.threads.call_stacks import CallStack, CallStacks, HartStack
from rcdbg.riscv.csr import Csr
from rcdbg.riscv.registers import ABI_NAMES, PRIVILEGES

SCHEMA = 1
"""Grows when a field is renamed, removed or changes its meaning; new fields do not count."""

Json = dict[str, Any]


def _hex(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def problems(found: Iterable[Problem]) -> list[Json]:
    """Problems."""
    return [{"where": p.where, "why": p.why} for p in found]


_problems = problems


def place(place: Place) -> Json:
    """A place."""
    return {
        "address": _hex(place.address),
        "symbol": place.symbol,
        "offset": place.offset,
        "file": place.file,
        "line": place.line,
        "program": place.program,
    }


def _registers(x: Iterable[int]) -> dict[str, str]:
    return {name: f"{value:#x}" for name, value in zip(ABI_NAMES, x, strict=True)}


def _csr(csr: Csr) -> Json:
    return {
        "value": _hex(csr.value),
        "text": csr.text,
        "fields": {f.name: {"value": f.value, "text": f.text} for f in csr.fields},
        "reserved": list(csr.reserved),
    }


def context(value: Context) -> Json:
    """A trap Context."""
    return {
        "address": _hex(value.address),
        "x": _registers(value.x),
        "sstatus": None if value.sstatus is None else _csr(value.sstatus),
        "sepc": place(value.sepc),
        "ra": place(value.ra),
        "problems": _problems(value.problems),
    }


def trap(value: Trap) -> Json:
    """The trap being handled."""
    return {
        "note": value.note,
        "cause": value.cause,
        "context": context(value.context) if value.context else None,
        "problems": _problems(value.problems),
        "depth": value.depth,
        "outer": [context(c) for c in value.outer],
        "changed": [ABI_NAMES[number] for number in value.changed],
        "syscall": syscall(value.syscall),
    }


def syscall(value: Syscall | None) -> Json | None:
    """What user code asks for."""
    if value is None:
        return None
    return {
        "number": value.number,
        "name": value.name,
        "text": value.shown,
        "next": value.is_next,
        "arguments": [
            {
                "name": a.parameter.name,
                "value": _hex(a.value),
                "kind": a.parameter.kind,
                "text": a.text.data.decode("utf-8", "replace") if a.text else None,
                "size_bytes": a.text.size if a.text else None,
                "physical": _hex(a.physical),
                "area": None if a.area is None else [_hex(word) for word in a.area],
                "problem": a.text.note or None if a.text else None,
            }
            for a in value.arguments
        ],
        "words": [_hex(word) for word in value.words],
        "note": value.note,
    }


def backtrace(value: Backtrace | None) -> Json | None:
    """A call stack."""
    if value is None:
        return None
    return {
        "frames": [
            {
                "pc": place(f.pc),
                "cfa": _hex(f.cfa),
                "sp": _hex(f.sp),
                "trap": f.is_trap,
                "context": _hex(f.context),
                "guess": f.is_guess,
                "inlined": f.is_inlined,
            }
            for f in value.frames
        ],
        "note": value.note,
        "problems": _problems(value.problems),
    }


def csrs(value: Hart) -> Json:
    """The CSRs by name."""
    return {c.name: _csr(c) for c in value.csrs}


def hart(value: Hart) -> Json:
    """The hart's registers."""
    privilege = None if value.privilege is None else PRIVILEGES.get(value.privilege)
    return {
        "pc": place(value.pc),
        "x": _registers(value.x),
        "privilege": privilege,
        "csrs": csrs(value),
        "note": value.note,
    }


def _range(value: MappedRange) -> Json:
    return {
        "va": _hex(value.va),
        "pa": _hex(value.pa),
        "size_bytes": value.size,
        "pages": value.pages,
        "page_size": value.page_size,
        "rights": value.rights,
        "accessed": value.accessed,
        "dirty": value.dirty,
        "section": value.section,
    }


mapped_range = _range


def page_table(value: PageTable) -> Json:
    """A page table."""
    return {
        "mode": value.mode,
        "root_ppn": value.root_ppn,
        "ranges": [_range(r) for r in value.ranges],
        "complete": value.complete,
        "left_out": value.left_out[0],
        "note": value.note,
        "origin": value.origin,
        "problems": _problems(value.problems),
    }


def translation(value: Translation) -> Json:
    """A walk."""
    return {
        "address": _hex(value.walk.va),
        "physical": _hex(value.walk.physical),
        "fault": value.walk.fault,
        "rule": value.walk.rule or None,
        "mode": value.mode,
        "root_ppn": value.root_ppn,
        "steps": [
            {
                "level": s.level,
                "index": s.index,
                "pte_address": _hex(s.pte_address),
                "pte": _hex(s.pte.bits),
                "flags": s.pte.flags,
                "valid": s.pte.valid,
                "leaf": s.pte.leaf,
                "ppn": s.pte.ppn,
                "rsw": s.pte.rsw,
            }
            for s in value.walk.steps
        ],
        "symbol": place(value.place),
        "content": value.content.hex() if value.content is not None else None,
        "accesses": [
            {
                "privilege": v.privilege,
                "access": v.access,
                "allowed": v.allowed,
                "broken": [{"rule": r.name, "why": r.why} for r in v.broken],
            }
            for v in value.verdicts
        ],
        "sum": value.sum,
        "mxr": value.mxr,
        "note": value.note,
    }


def _interval(value: Interval) -> Json:
    return {"start": value.start, "end": value.end}


def frames(value: FrameAllocator) -> Json:
    """The frame allocator."""
    return {
        "allocator": value.kind,
        "managed": _interval(value.managed) if value.managed else None,
        "total": value.total,
        "used": value.used,
        "free": [_interval(i) for i in value.free] if value.is_known else None,
        "locked": value.locked,
        "note": value.note,
        "problems": _problems(value.problems),
    }


def _stack(value: Stack | None) -> Json | None:
    if value is None:
        return None
    return {"start": _hex(value.start), "end": _hex(value.end), "guarded": value.guarded}


def _wait(value: Wait) -> Json:
    return {
        "kind": value.kind,
        "what": value.what or None,
        "address": _hex(value.address),
        "until": value.until,
        "unit": value.unit or None,
    }


def _switch(value: SwitchFrame) -> Json:
    return {
        "address": _hex(value.address),
        "ra": place(value.ra),
        "sp": _hex(value.sp),
        "saved": [_hex(word) for word in value.saved],
    }


def thread(value: Thread) -> Json:
    """A thread."""
    return {
        "id": value.id,
        "status": value.status,
        "position": value.position,
        "priority": value.priority,
        "is_user": value.is_user,
        "address": _hex(value.address),
        "process": _hex(value.process),
        "stack": _stack(value.stack),
        "stack_used_bytes": value.stack_used,
        "context": context(value.context) if value.context else None,
        "sleeping": value.sleeping,
        "dead": value.dead,
        "locked": value.locked,
        "problems": _problems(value.problems),
        "is_idle": value.is_idle,
        "stack_deepest_bytes": value.stack_deepest,
        "process_id": value.process_id,
        "name": value.name or None,
        "state": value.state or None,
        "switch": _switch(value.switch) if value.switch else None,
        "kernel_stack": _stack(value.kernel_stack),
        "user_stack": _stack(value.user_stack),
        "exit_code": value.exit_code,
        "waits": None if value.waits is None else [_wait(w) for w in value.waits],
    }


def threads(value: Processor) -> Json:
    """The processor's threads."""
    return {
        "scheduler": value.scheduler,
        "current": thread(value.current) if value.current else None,
        "ready": None if "ready" in value.unknown else [thread(t) for t in value.ready],
        "sleeping": None if "sleeping" in value.unknown else [thread(t) for t in value.sleeping],
        "idle": thread(value.idle) if value.idle else None,
        "others": [thread(t) for t in value.others],
        "unknown": sorted(value.unknown),
        "locked": value.locked,
        "note": value.note,
        "problems": _problems(value.problems),
    }


def hart_stack(value: HartStack) -> Json:
    """The hart's call stack, with the trap in it."""
    return {**(backtrace(value.backtrace) or {}), "trap": trap(value.trap)}


def call_stack(value: CallStack) -> Json:
    """A thread with its call stack."""
    return {**thread(value.thread), "backtrace": backtrace(value.backtrace)}


def call_stacks(value: CallStacks) -> Json:
    """The threads; each one's call stack by the address of its Thread."""
    stacks = {f"{s.thread.address:#x}": backtrace(s.backtrace) for s in value.stacks}
    return {**threads(value.processor), "backtraces": stacks}


def state(value: KernelState) -> Json:
    """All of it."""
    return {
        "hart": hart(value.hart),
        "trap": trap(value.trap),
        "page_table": page_table(value.page_table),
        "frames": frames(value.frames),
        "threads": threads(value.processor),
        "problems": _problems(value.problems),
    }


def document(subject: str, content: Json) -> Json:
    """The document that `--json` prints: the schema's version, the subject, and its content."""
    return {"schema": SCHEMA, subject: content}
