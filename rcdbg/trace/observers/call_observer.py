"""Functions of the kernel that say what it does: with threads, with frames, with mappings."""

from collections.abc import Callable, Mapping
from typing import Any

from rcdbg.image.symbols import simplified
from rcdbg.model.memory.frames import first_frame
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.pages import PAGE_SHIFT
from rcdbg.riscv.pte import flags_text
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers import arguments as abi
from rcdbg.trace.observers.call import STALE, Call, held
from rcdbg.trace.observers.probes import Handler, Probe
from rcdbg.trace.observers.scene import Scene

_MAX_PENDING_CALLS = 64
_ECALLS = frozenset({8, 9})
"""Exceptions: environment calls from U-mode and S-mode."""

_RA, _SP, _A0 = 1, 2, 10


class CallObserver:
    """Tells what functions were called for, and what came of it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._calls: list[tuple[int, int, int]] = []
        self._frame_start: int | None = None

    def handlers(self) -> dict[str, Handler]:
        """What it does at which sights."""
        return {
            "ready": self.on_ready,
            "wake": self.on_wake,
            "sleep": self.on_sleep,
            "exit": self.on_exit,
            "kill": self.on_kill,
            "alloc_entry": self.on_alloc_entry,
            "alloc_return": self.on_alloc_return,
            "frame_free": self.on_frame_free,
            "map": self.on_map,
            "unmap": self.on_unmap,
            "hit": self.on_hit,
        }

    def on_ready(self, moment: Moment, probe: Probe) -> None:
        """A thread becomes ready: a new one, one that slept, or one that waits for its turn."""
        self._made_ready(moment, probe, is_wake=False)

    def on_wake(self, moment: Moment, probe: Probe) -> None:
        """A sleeping thread is woken, in a kernel where `ready` cannot be seen."""
        self._made_ready(moment, probe, is_wake=True)

    def _made_ready(self, moment: Moment, probe: Probe, *, is_wake: bool) -> None:
        scene = self._scene
        by = scene.thread(moment)
        try:
            call = scene.call(moment, probe)
            thread, is_new, certain = scene.threads.add(
                call.thread(), scene.kernel(moment), moment.same_thread_runs
            )
        except DecodeError as error:
            kind = "wake" if is_wake else "thread_add"
            self._scene.emit(kind, moment, {"id": None, "stack": None}, by, (str(error),))
            return
        if thread.is_sleeping:
            thread.is_sleeping = False
            self._scene.emit("wake", moment, {"id": thread.id}, by)
        elif is_new and not is_wake:
            stack = [thread.start, thread.end] if thread.end else None
            fields = {"id": thread.id, "stack": stack}
            self._scene.emit("thread_add", moment, fields, by, () if certain else (STALE,))

    def on_sleep(self, moment: Moment, probe: Probe) -> None:
        """The running thread goes to sleep."""
        thread = self._scene.thread(moment)
        if thread is not None:
            thread.is_sleeping = True
        self._scene.emit("sleep", moment, {"id": thread.id if thread else None}, thread)

    def on_exit(self, moment: Moment, probe: Probe) -> None:
        """The running thread ends of itself."""
        self._ended(moment, "exit")

    def on_kill(self, moment: Moment, probe: Probe) -> None:
        """The running thread is ended: by a fault, or by a system call that asks for it."""
        traps = self._scene.traps
        asked_for = bool(traps) and traps[-1].scause in _ECALLS
        self._ended(moment, "exit" if asked_for else "fault")

    def _ended(self, moment: Moment, why: str) -> None:
        thread = self._scene.thread(moment)
        if thread is not None and thread.ended:
            return
        if thread is not None:
            thread.ended = why
        fields = {"id": thread.id if thread else None, "why": why}
        self._scene.emit("thread_exit", moment, fields, thread)

    def on_alloc_entry(self, moment: Moment, probe: Probe) -> None:
        """A frame is asked for."""
        x = moment.registers.x
        if not any(p.what == "alloc_return" for p in self._scene.probes.get(x[_RA], ())):
            self._scene.lost += 1  # called through a pointer: its return is at none of the places
            return
        self._calls.append((x[_RA], x[_SP], x[_A0]))
        del self._calls[:-_MAX_PENDING_CALLS]

    def on_alloc_return(self, moment: Moment, probe: Probe) -> None:
        """A frame may have been given."""
        registers = moment.registers
        if not self._calls or self._calls[-1][:2] != (registers.pc, registers.sp):
            return
        _, _, entry_a0 = self._calls.pop()
        call = self._scene.call(moment, probe)
        thread = self._scene.thread(moment)
        try:
            held = call.result(entry_a0)
            ppn = None if held is None else held.scalar() + self._first_frame(moment, probe)
            self._scene.emit("frame_alloc", moment, {"ppn": ppn}, thread, call.marks())
        except DecodeError as error:
            self._scene.emit("frame_alloc", moment, {"ppn": None}, thread, (str(error),))

    def _first_frame(self, moment: Moment, probe: Probe) -> int:
        """What to add to the numbers of that function: none, or that of the frame with index 0."""
        names = self._scene.description.frames
        path = simplified(probe.function.path).split("::") if probe.function else ()
        if not path or not names.start or any(name in path for name in names.type):
            return 0
        if self._frame_start is None:
            self._frame_start = first_frame(self._scene.kernel(moment))
        if self._frame_start is None:
            raise DecodeError(names.type.first, "not initialised yet")
        return self._frame_start

    def on_frame_free(self, moment: Moment, probe: Probe) -> None:
        """A frame is given back."""

        def fields(call: Call) -> dict[str, Any]:
            return {"ppn": abi.number_in(call.value(1)) + self._first_frame(moment, probe)}

        self._told("frame_free", moment, probe, fields, {"ppn": None})

    def on_map(self, moment: Moment, probe: Probe) -> None:
        """A page is mapped."""

        def fields(call: Call) -> dict[str, Any]:
            frame = held(call.value(2))
            pa = None if frame is None else abi.number_in(frame) << PAGE_SHIFT
            flags = flags_text(abi.number_in(call.value(3)))
            return {"va": call.page(1), "pa": pa, "flags": flags}

        self._told("map", moment, probe, fields, {"va": None, "pa": None, "flags": None})

    def on_unmap(self, moment: Moment, probe: Probe) -> None:
        """Pages are unmapped."""

        def fields(call: Call) -> dict[str, Any]:
            va, pages = call.pages(1)
            return {"va": va, "pages": pages}

        self._told("unmap", moment, probe, fields, {"va": None, "pages": None})

    def _told(
        self,
        kind: str,
        moment: Moment,
        probe: Probe,
        fields: Callable[[Call], dict[str, Any]],
        nothing: Mapping[str, Any],
    ) -> None:
        """An event whose fields are in arguments; with those in `nothing` where they are not."""
        call, thread = self._scene.call(moment, probe), self._scene.thread(moment)
        try:
            found = fields(call)
            self._scene.emit(kind, moment, found, thread, call.marks())
        except DecodeError as error:
            self._scene.emit(kind, moment, nothing, thread, (str(error), *call.marks()))

    def on_hit(self, moment: Moment, probe: Probe) -> None:
        """A function that the user named is entered."""
        name = self._scene.symbol(probe.symbol) or f"{probe.symbol:#x}"
        call = self._scene.call(moment, probe)
        values = call.plain(self._scene.symbol)
        fields = {"symbol": name, "arguments": values}
        self._scene.emit("hit", moment, fields, self._scene.thread(moment), call.marks())
