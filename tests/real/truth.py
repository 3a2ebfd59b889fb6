"""What a kernel of the tutorial does, known by its calls: breakpoints on the functions that do it.

Nothing here reads the kernel's structures: the ids are those that it hands to its own managers, and
addresses are those of the arguments, so that what rcdbg decodes is held against something else.
"""

import re
from collections import deque
from dataclasses import dataclass, field

from rcdbg.image.elf import Image
from tests.support.real import Seen, calls

_MANAGE = "tg_rcore_tutorial_task_manage::"
_USER_PORTAL = "foreign::PortalCache::init"


@dataclass(slots=True)
class Truth:
    """The tasks so far, by the ids that the kernel gives them."""

    tasks: list[int] = field(default_factory=list)
    queue: deque[int] = field(default_factory=deque)
    current: int | None = None
    processes: set[int] | None = None
    """Where they are others than the tasks."""
    context: int = 0
    """Where the registers of the running one are kept."""
    satps: dict[int, int] = field(default_factory=dict)
    """By task, as soon as it has run."""
    syscall: int | None = None
    """The number that the kernel's dispatcher was called with last."""
    _blocks: list[int] = field(default_factory=list)
    """In the third chapter: where each task's block is."""

    @property
    def waiting(self) -> set[int]:
        """Those that neither run nor are in the queue."""
        return set(self.tasks) - set(self.queue) - {self.current}

    def watch(self, image: Image, chapter: str) -> dict[int, Seen]:
        """What to call at which address, for that chapter."""
        seen: dict[str, Seen] = {"kernel_context::LocalContext::execute": self._executed}
        seen["syscall::kernel::handle"] = self._handled
        if chapter >= "ch4":
            seen[_USER_PORTAL] = self._entered
        if chapter == "ch3":
            seen["::task::TaskControlBlock::init"] = self._made
            seen["::task::TaskControlBlock::execute"] = self._chosen
        elif chapter == "ch4":
            seen["::process::Process::new"] = lambda a: self._listed(+1)
            seen["::ptr::drop_in_place<tg_rcore_tutorial_ch4::process::Process>"] = lambda a: (
                self._listed(-1)
            )
        else:
            seen["::process::Process::exec"] = self._replaced
        if chapter == "ch8":
            seen |= self._managed("processor::ThreadManager", "::process::Thread", "ThreadId")
            seen |= {
                f"{_MANAGE}thread_manager::PThreadManager<P,T,MT,MP>::make_current_blocked": (
                    self._blocked
                ),
            }
            self.processes = set()
            kind = f"processor::ProcManager as {_MANAGE}manager::Manage<tg_rcore_tutorial_ch8"
            tail = f"::process::Process,{_MANAGE}id::ProcId>>::"
            seen[f"{kind}{tail}insert"] = lambda a: self._processes().add(a[1])
            seen[f"{kind}{tail}delete"] = lambda a: self._processes().discard(a[1])
        elif chapter >= "ch5":
            seen |= self._managed("processor::ProcManager", "::process::Process", "ProcId")
        return calls(image, seen)

    def _managed(self, manager: str, item: str, number: str) -> dict[str, Seen]:
        schedule = f"{_MANAGE}scheduler::Schedule<{_MANAGE}id::{number}>>::"
        manage = f"{item},{_MANAGE}id::{number}>>::"
        return {
            f"{manager} as {schedule}add": self._queued,
            f"{manager} as {schedule}fetch": self._fetched,
            f"{manage}insert": lambda a: self.tasks.append(a[1]),
            f"{manage}delete": self._deleted,
        }

    def look(self, console: str) -> None:
        """What the third chapter tells of its tasks: those that have ended are not run again."""
        if not self._blocks:
            return
        ended = {int(n) for n in re.findall(r"app(\d+) (?:exit|was killed)", console)}
        self.tasks = [n for n in range(len(self._blocks)) if n not in ended]
        now = 0 if self.current is None else self.current
        self.queue = deque(n for n in self.tasks if n > now)
        self.queue.extend(n for n in self.tasks if n < now)

    def _made(self, a: tuple[int, ...]) -> None:
        self._blocks.append(a[0])

    def _chosen(self, a: tuple[int, ...]) -> None:
        self.current = self._blocks.index(a[0])

    def _listed(self, more: int) -> None:
        """Chapters without ids have a list, in which a place is all that a task has."""
        self.tasks = list(range(len(self.tasks) + more))
        self.queue = deque(self.tasks[1:])
        self.current = 0 if self.tasks else None
        self.satps.clear()

    def _replaced(self, a: tuple[int, ...]) -> None:
        if self.current is not None:
            self.satps.pop(self.current, None)

    def _processes(self) -> set[int]:
        assert self.processes is not None
        return self.processes

    def _queued(self, a: tuple[int, ...]) -> None:
        self.queue.append(a[1])
        if self.current == a[1]:
            self.current = None

    def _fetched(self, a: tuple[int, ...]) -> None:
        if self.queue:
            self.current = self.queue.popleft()

    def _deleted(self, a: tuple[int, ...]) -> None:
        if a[1] in self.tasks:
            self.tasks.remove(a[1])
        if self.current == a[1]:
            self.current = None

    def _blocked(self, a: tuple[int, ...]) -> None:
        self.current = None

    def _executed(self, a: tuple[int, ...]) -> None:
        self.context = a[0]

    def _entered(self, a: tuple[int, ...]) -> None:
        if self.current is not None:
            self.satps[self.current] = a[1]

    def _handled(self, a: tuple[int, ...]) -> None:
        self.syscall = a[2]
