"""Answers about page tables, address spaces and single CSRs as JSON; the rules of `serial` hold."""

from collections.abc import Iterable

from rcdbg.model.memory.mappings import Mapped, Reverse
from rcdbg.model.memory.memory_set import MemorySet, MemorySets
from rcdbg.model.memory.segments import Difference, Segment
from rcdbg.model.memory.table_aliases import Aliases
from rcdbg.model.memory.table_diff import TableDiff
from rcdbg.model.memory.table_lint import Lint
from rcdbg.model.serial.state import Json, mapped_range, problems
from rcdbg.model.threads.explain import ExplainedCsr
from rcdbg.riscv.csr import Csr


def _mapped(found: Iterable[Mapped]) -> list[Json]:
    return [{"va": f"{m.va:#x}", "rights": m.rights, "page_size": m.page_size} for m in found]


def reverse(value: Reverse) -> Json:
    """A physical address and its virtual ones."""
    return {
        "physical": f"{value.physical:#x}",
        "mappings": _mapped(value.mappings),
        "origin": value.origin,
        "note": value.note,
        "problems": problems(value.problems),
    }


def aliases(value: Aliases) -> Json:
    """Physical memory that is mapped more than once."""
    return {
        "aliases": [
            {
                "pa": f"{a.pa:#x}",
                "size_bytes": a.size,
                "count": a.count,
                "different_rights": a.different_rights,
                "mappings": _mapped(a.mappings),
            }
            for a in value.aliases
        ],
        "origin": value.origin,
        "note": value.note,
        "problems": problems(value.problems),
    }


def lint(value: Lint) -> Json:
    """What is odd about a table."""
    return {
        "tables": value.tables,
        "findings": [
            {"rule": f.rule, "va": f"{f.va:#x}", "size_bytes": f.size, "why": f.why}
            for f in value.findings
        ],
        "skipped": list(value.skipped),
        "origin": value.origin,
        "note": value.note,
    }


def diff(value: TableDiff) -> Json:
    """Two tables compared."""
    return {
        "before": value.before,
        "after": value.after,
        "changes": [
            {
                "kind": c.kind,
                "va": f"{c.va:#x}",
                "size_bytes": c.size,
                "before": mapped_range(c.before) if c.before else None,
                "after": mapped_range(c.after) if c.after else None,
            }
            for c in value.changes
        ],
        "notes": list(value.notes),
        "problems": problems(value.problems),
    }


def _differences(found: Iterable[Difference]) -> list[Json]:
    return [{"kind": d.kind, "va": f"{d.va:#x}", "size_bytes": d.size, "why": d.why} for d in found]


def _segment(value: Segment) -> Json:
    return {
        "start": f"{value.start:#x}",
        "end": f"{value.end:#x}",
        "map_type": value.map_type,
        "rights": value.rights,
        "differences": _differences(value.differences),
        "more": value.more,
    }


def _memory_set(value: MemorySet) -> Json:
    return {
        "name": value.name,
        "process": None if value.process is None else f"{value.process:#x}",
        "number": value.number,
        "is_user": value.is_user,
        "threads": list(value.threads),
        "root_ppn": value.root_ppn,
        "active": value.active,
        "segments": [_segment(s) for s in value.segments],
        "unexplained": [mapped_range(r) for r in value.unexplained],
        "owned_pages": value.owned_pages,
        "books": _differences(value.books),
        "locked": value.locked,
        "note": value.note,
        "problems": problems(value.problems),
    }


def memory_sets(value: MemorySets) -> Json:
    """The address spaces of all processes."""
    return {
        "processes": [_memory_set(s) for s in value.sets],
        "note": value.note,
        "problems": problems(value.problems),
    }


def explained(value: ExplainedCsr) -> Json:
    """A CSR with every field explained, or why it has no value."""
    if value.csr is None:
        return {"name": value.name, "value": None, "note": value.note}
    return _fields(value.csr)


def _fields(value: Csr) -> Json:
    return {
        "name": value.name,
        "value": f"{value.value:#x}",
        "text": value.text,
        "about": value.about,
        "section": value.section,
        "fields": [
            {
                "name": f.name,
                "value": f.value,
                "text": f.text,
                "about": f.about,
                "reserved": f.reserved,
            }
            for f in value.fields
        ],
        "reserved": list(value.reserved),
    }
