"""System calls: what user code asked for, when its ecall trapped, and what came back."""

from dataclasses import dataclass
from typing import Any

from rcdbg.model.syscalls.call import Syscall, SyscallArgument
from rcdbg.model.syscalls.decode import FROM_USER, decode_syscall, read_text
from rcdbg.model.syscalls.known import system_calls
from rcdbg.riscv.registers import MASK64
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.call import STALE
from rcdbg.trace.observers.scene import Scene, csr_value
from rcdbg.trace.observers.thread_map import KnownThread

_SP = 2
_ECALL_BYTES = 4
_MAX_OPEN = 4096
"""System calls that have not come back: of a thread that is gone none ever does."""
_NO_REGISTERS = "the registers at the ecall are not known"


@dataclass(frozen=True, slots=True)
class _Open:
    """A call that has not come back."""

    call: Syscall
    thread: KnownThread | None
    process: int | None


class SyscallObserver:
    """Tells of system calls, and pairs each with its return: by the table, the sp and the place."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._open: dict[tuple[int | None, int, int], _Open] = {}

    def entered(self, moment: Moment, thread: KnownThread | None) -> None:
        """A trap of user code has begun, with the registers as they were at it."""
        scene, scause = self._scene, csr_value(moment, "scause")
        sepc = csr_value(moment, "sepc")
        if scause != FROM_USER or not scene.wants("syscall", "syscall_end"):
            return
        x = scene.user.x(moment)
        if not any(moment.registers.x):
            nothing: dict[str, Any] = dict.fromkeys(
                ("number", "name", "process", "arguments", "text")
            )
            scene.emit("syscall", moment, {**nothing, "sepc": sepc}, thread, (_NO_REGISTERS,))
            return
        known = system_calls(scene.image, scene.description)
        call = decode_syscall(known, x, scene.user.memory(moment))
        process = scene.user.process(moment, thread)
        texts = [a.text for a in call.arguments if a.text is not None]
        marks = [text.note for text in texts if text.note]
        if texts and not moment.memory_is_current():
            marks.append(STALE)
        fields: dict[str, Any] = {
            "number": call.number,
            "name": call.name,
            "process": process,
            "arguments": _arguments(call),
            "text": " ".join(t.shown for t in texts if not t.note) or None,
            "sepc": sepc,
        }
        scene.emit("syscall", moment, fields, thread, marks)
        if sepc is not None:
            if len(self._open) >= _MAX_OPEN:
                self._open.clear()
            key = scene.user.root(moment), x[_SP] & MASK64, (sepc + _ECALL_BYTES) & MASK64
            self._open[key] = _Open(call, thread, process)

    def left(self, moment: Moment, sp: int | None, sepc: int | None, a0: int | None) -> None:
        """A trap ends, and user code goes on at `sepc` with that sp and a0, as far as known."""
        if sepc is None or not self._open:
            return
        root = self._scene.user.root(moment)
        if sp is None:
            keys = [k for k in self._open if k[0] == root and k[2] == sepc]
            key = keys[0] if len(keys) == 1 else None
        else:
            key = root, sp & MASK64, sepc
        found = self._open.pop(key, None) if key is not None else None
        if found is None:
            return
        result = None if a0 is None else a0 - (1 << 64) if a0 >> 63 else a0
        text, marks = self._came_out(moment, found.call, result)
        fields: dict[str, Any] = {
            "number": found.call.number,
            "name": found.call.name,
            "process": found.process,
            "result": result,
            "text": text,
        }
        self._scene.emit("syscall_end", moment, fields, found.thread, marks)

    def _came_out(
        self, moment: Moment, call: Syscall, result: int | None
    ) -> tuple[str | None, tuple[str, ...]]:
        """What the kernel has written for the user, as much as the result says."""
        if result is None or result <= 0:
            return None, ()
        memory = self._scene.user.memory(moment)
        for argument in call.arguments:
            if argument.parameter.kind == "out" and argument.value is not None:
                found = read_text(memory, argument.value, result)
                stale = () if moment.memory_is_current() else (STALE,)
                return (None, (found.note,)) if found.note else (found.shown, stale)
        return None, ()


def _arguments(call: Syscall) -> dict[str, Any]:
    if call.name is None:
        return {f"a{number}": _plain(word) for number, word in enumerate(call.words)}
    return {a.parameter.name: _of(a) for a in call.arguments}


def _of(argument: SyscallArgument) -> int | str | None:
    """A number as such; what is shown in hexadecimal as a text."""
    if argument.value is None:
        return None
    return hex(argument.value) if argument.is_hexadecimal else argument.number


def _plain(word: int | None) -> str | None:
    return None if word is None else hex(word)
