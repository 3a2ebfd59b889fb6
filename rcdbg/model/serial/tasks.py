"""Processes, and who has a lock, as JSON."""

from rcdbg.model.programs.listed import Programs
from rcdbg.model.serial.state import Json, problems
from rcdbg.model.tasks.locks import KernelLock, KernelLocks
from rcdbg.model.tasks.relatives import ProcessEntry, ProcessTree


def _hex(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def _process(value: ProcessEntry) -> Json:
    return {
        "address": _hex(value.address),
        "id": value.id,
        "name": value.name or None,
        "state": value.state or None,
        "dead": value.is_dead,
        "exit_code": value.exit_code,
        "parent": value.parent,
        "parent_known": value.parent_is_known,
        "children": None if value.children is None else list(value.children),
        "threads": list(value.threads),
        "root_ppn": value.root_ppn,
        "problems": problems(value.problems),
    }


def processes(value: ProcessTree) -> Json:
    """The processes."""
    return {
        "processes": [_process(entry) for entry in value.entries],
        "note": value.note,
        "problems": problems(value.problems),
    }


def programs(value: Programs) -> Json:
    """The programs for U-mode that are known."""
    return {
        "programs": [
            {
                "name": program.name,
                "origin": program.origin,
                "entry": _hex(program.entry),
                "has": program.tells or None,
            }
            for program in value.programs
        ],
        "problems": problems(value.problems),
    }


def _lock(value: KernelLock) -> Json:
    return {
        "path": value.path,
        "kind": value.kind,
        "address": _hex(value.address),
        "state": value.state,
        "taken": value.is_taken,
        "holder": value.holder or None,
    }


def locks(value: KernelLocks) -> Json:
    """The locks and cells that are taken."""
    return {
        "count": value.count,
        "taken": [_lock(lock) for lock in value.taken],
        "note": value.note,
        "problems": problems(value.problems),
    }
