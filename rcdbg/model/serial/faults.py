"""A trap explained, as JSON; the rules of `serial` hold."""

from rcdbg.model.faults.explain import FaultReport
from rcdbg.model.faults.instruction import TrappedInstruction
from rcdbg.model.faults.neighbours import Neighbour
from rcdbg.model.serial.state import Json, place
from rcdbg.riscv.registers import ABI_NAMES


def fault(report: FaultReport) -> Json:
    """The trap that is being handled, or the last one."""
    moment = report.moment
    return {
        "kind": report.kind,
        "headline": report.headline,
        "cause": None if moment is None else moment.cause,
        "code": None if moment is None else moment.code,
        "is_now": None if moment is None else moment.is_now,
        "from": None if moment is None else moment.privilege,
        "sepc": None if moment is None else place(moment.sepc),
        "stval": None if moment is None else f"{moment.stval:#x}",
        "address": None if report.address is None else place(report.address),
        "instruction": None if report.instruction is None else _instruction(report.instruction),
        "matches": report.matches,
        "access": None if moment is None else moment.access,
        "allowed": None if report.verdict is None else report.verdict.allowed,
        "broken": []
        if report.verdict is None
        else [{"rule": rule.name, "why": rule.why} for rule in report.verdict.broken],
        "walk": []
        if report.walk is None
        else [
            {
                "level": step.level,
                "index": step.index,
                "pte_address": f"{step.pte_address:#x}",
                "pte": f"{step.pte.bits:#x}",
                "flags": step.pte.flags if step.pte.valid else None,
            }
            for step in report.walk.steps
        ],
        "near": [_near(one) for one in report.near],
        "device": None if report.device is None else report.device.name,
        "field": None
        if report.field is None
        else {"type": report.field.type, "field": report.field.field},
        "repeated": None
        if report.repeated is None
        else {
            "function": report.repeated.name,
            "times": report.repeated.times,
            "frames": report.repeated.frames,
        },
        "remarks": list(report.remarks),
        "note": "" if moment is None else moment.note,
    }


def _instruction(found: TrappedInstruction) -> Json:
    return {
        "text": found.decoded.text,
        "encoding": f"{found.decoded.encoding:#x}",
        "size_bytes": found.decoded.size,
        "address": None if found.address is None else f"{found.address:#x}",
        "registers": {ABI_NAMES[number]: f"{value:#x}" for number, value in found.values},
    }


def _near(one: Neighbour) -> Json:
    return {
        "name": one.name,
        "kind": one.kind,
        "start": f"{one.start:#x}",
        "end": f"{one.end:#x}",
        "side": one.side,
        "distance_bytes": one.distance,
        "thread": one.thread,
        "guarded": one.guarded,
    }
