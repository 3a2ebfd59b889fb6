"""Whether the guest runs: the one place that knows it, for the keys and the screen to ask.

It is told what happened, from whichever thread: by gdb, over the session; by the user; by the
screen, which shows a stop only a while after it has come.
"""

import threading
from enum import Enum, auto
from typing import Final, Literal

from rcdbg.tui.session import Move

Activity = Literal["starting", "running", "stopped", "exited"]
"""The same in the user's words."""

STEPS: Final = frozenset({Move.STEP_LINE, Move.NEXT_LINE, Move.STEP_INSTRUCTION, Move.FINISH})
"""The moves that are over soon, as a rule."""


class State(Enum):
    """How the guest fares."""

    STARTING = auto()
    """The machine boots; nothing is known of the guest yet."""
    ASKED = auto()
    """The user has asked it to run, and gdb has not said yet that it does."""
    RUNNING = auto()
    INTERRUPTING = auto()
    """It runs, and has been asked to stop."""
    ARRIVED = auto()
    """It stands, and the screen does not show that stop yet."""
    STOPPED = auto()
    """It stands as the screen shows it."""
    ENDED = auto()
    """It has shut down, or QEMU or gdb is gone."""
    LEAVING = auto()
    """A restart has been asked for: what the old machine still says counts no more."""


class Event(Enum):
    """What changes that."""

    ASK = auto()
    REFUSE = auto()
    """The move that was asked for failed."""
    RUN = auto()
    STAND = auto()
    SHOW = auto()
    """The last stop is on the screen."""
    INTERRUPT = auto()
    END = auto()
    LEAVE = auto()
    BOOT = auto()
    """The old machine is gone, and a new one starts."""


_S, _E = State, Event
_NEXT: Final = {
    _S.STARTING: {_E.RUN: _S.RUNNING, _E.STAND: _S.ARRIVED, _E.END: _S.ENDED},
    _S.ASKED: {
        _E.RUN: _S.RUNNING,
        # Into a function that was inlined, gdb steps without running anything.
        _E.STAND: _S.ARRIVED,
        _E.REFUSE: _S.STOPPED,
        _E.INTERRUPT: _S.INTERRUPTING,
        _E.END: _S.ENDED,
        _E.LEAVE: _S.LEAVING,
    },
    _S.RUNNING: {
        _E.RUN: _S.RUNNING,
        _E.STAND: _S.ARRIVED,
        _E.REFUSE: _S.RUNNING,
        _E.INTERRUPT: _S.INTERRUPTING,
        _E.END: _S.ENDED,
        _E.LEAVE: _S.LEAVING,
    },
    _S.INTERRUPTING: {
        _E.RUN: _S.INTERRUPTING,
        _E.STAND: _S.ARRIVED,
        _E.REFUSE: _S.STOPPED,
        _E.INTERRUPT: _S.INTERRUPTING,
        _E.END: _S.ENDED,
        _E.LEAVE: _S.LEAVING,
    },
    _S.ARRIVED: {
        # A command of gdb's console runs the guest as often as it likes.
        _E.RUN: _S.RUNNING,
        _E.STAND: _S.ARRIVED,
        _E.REFUSE: _S.ARRIVED,
        _E.SHOW: _S.STOPPED,
        _E.INTERRUPT: _S.ARRIVED,
        _E.END: _S.ENDED,
        _E.LEAVE: _S.LEAVING,
    },
    _S.STOPPED: {
        _E.ASK: _S.ASKED,
        _E.RUN: _S.RUNNING,
        _E.STAND: _S.ARRIVED,
        _E.SHOW: _S.STOPPED,
        _E.END: _S.ENDED,
        _E.LEAVE: _S.LEAVING,
    },
    _S.ENDED: {_E.REFUSE: _S.ENDED, _E.END: _S.ENDED, _E.LEAVE: _S.LEAVING},
    _S.LEAVING: {
        _E.RUN: _S.LEAVING,
        _E.STAND: _S.LEAVING,
        _E.REFUSE: _S.LEAVING,
        _E.END: _S.LEAVING,
        _E.BOOT: _S.STARTING,
    },
}
_ACTIVITIES: Final[dict[State, Activity]] = {
    _S.STARTING: "starting",
    _S.ASKED: "running",
    _S.RUNNING: "running",
    _S.INTERRUPTING: "running",
    _S.ARRIVED: "running",
    _S.STOPPED: "stopped",
    _S.ENDED: "exited",
    _S.LEAVING: "starting",
}
_CHANGES_WHAT_IS_THERE: Final = frozenset({_E.RUN, _E.STAND, _E.END, _E.LEAVE, _E.BOOT})


def following(state: State, event: Event) -> State | None:
    """The state after `event`, or None if that cannot happen there."""
    return _NEXT[state].get(event)


class GuestCourse:
    """The state of one guest after another. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = State.STARTING
        self._move: Move | None = None
        self._ahead: Move | None = None
        self._commands = 0
        self.moment = 0
        """Another number as soon as the guest is not where it was, for whoever looks at it."""
        self.stops = 0
        """How often the guest has come to stand since it was booted."""
        self.surprises: list[tuple[State, Event]] = []
        """What happened although it cannot: it changes nothing, and tests look here."""

    @property
    def state(self) -> State:
        """How the guest fares."""
        return self._state

    @property
    def activity(self) -> Activity:
        """What the user is told of it."""
        return _ACTIVITIES[self._state]

    @property
    def interruptible(self) -> bool:
        """Whether there is anything to interrupt: the guest, or a command of gdb's console."""
        return self.activity == "running" or self._commands > 0

    @property
    def console_is_busy(self) -> bool:
        """Whether gdb's console has a command that is not done."""
        return self._commands > 0

    def ask(self, move: Move) -> bool:
        """The user wants the guest to run; returns whether the session is to be asked for it.

        A step during another one is kept for later: one ahead is enough for a key that is held,
        more would run on after it is up.
        """
        with self._lock:
            if self._state is State.STOPPED:
                self._follow(Event.ASK)
                self._move = move
                return True
            under_way = self._state in (State.ASKED, State.RUNNING, State.ARRIVED)
            if self.steps_on(move) and under_way:
                self._ahead = move
            return False

    def steps_on(self, move: Move) -> bool:
        """Whether `move` is a step that comes during another step."""
        return self._move in STEPS and move in STEPS

    def refuse(self) -> None:
        """The session could not do what it was asked for."""
        with self._lock:
            self._follow(Event.REFUSE)
            self._move = self._ahead = None

    def run(self) -> None:
        """The guest runs."""
        with self._lock:
            self._follow(Event.RUN)

    def stand(self) -> int:
        """The guest stands; returns the moment of which the screen is to show the state."""
        with self._lock:
            if self._follow(Event.STAND) is State.ARRIVED:
                self.stops += 1
            return self.moment

    def show(self, moment: int) -> Move | None:
        """The screen shows the guest as it was at `moment`; returns the move that led there.

        If that is over, because the guest runs again or is gone, this changes nothing.
        """
        with self._lock:
            if moment != self.moment or self._state is State.ASKED:
                return None
            arrived = self._state is State.ARRIVED
            self._follow(Event.SHOW)
            if not arrived:
                return None
            moved, self._move = self._move, None
            return moved

    def take_ahead(self) -> Move | None:
        """The step that was asked for during the last one, once only."""
        with self._lock:
            ahead, self._ahead = self._ahead, None
            return ahead

    def interrupt(self) -> None:
        """The guest has been asked to stop, or is to be as soon as it runs."""
        with self._lock:
            self._follow(Event.INTERRUPT)
            self._ahead = None

    def end(self) -> None:
        """The guest, or gdb, is gone."""
        with self._lock:
            self._follow(Event.END)
            self._move = self._ahead = None

    def leave(self) -> None:
        """The user wants a new machine."""
        with self._lock:
            self._follow(Event.LEAVE)
            self._move = self._ahead = None

    def boot(self) -> None:
        """A new machine starts."""
        with self._lock:
            self._follow(Event.BOOT)
            self.stops = 0

    def command_begins(self) -> None:
        """gdb's console gets a command, which may run the guest."""
        with self._lock:
            self._commands += 1

    def command_ends(self) -> None:
        """It is done."""
        with self._lock:
            self._commands -= 1

    def _follow(self, event: Event) -> State:
        state = following(self._state, event)
        if state is None:
            self.surprises.append((self._state, event))
            return self._state
        self._state = state
        if event in _CHANGES_WHAT_IS_THERE:
            self.moment += 1
        return state
