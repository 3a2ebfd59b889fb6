"""The keys of the full-screen debugger: one table.

Bindings, the last line of the screen, the help and the README's table are made from it. A new key
is a row here, and the method that it names: of `deeds.Deeds` if it works anywhere, else of the
screen or widget that it belongs to.
"""

from dataclasses import dataclass
from typing import Final, Literal

from textual.binding import Binding, BindingType

from rcdbg.tui.course import Activity
from rcdbg.tui.session import Move

Group = Literal["running", "typing", "looking", "rcdbg"]
Place = Literal["anywhere", "panels", "text", "line", "question", "help"]
"""Where a key works: anywhere; among the panels; on a text with a line to type into below it; in
such a line; in the question for a breakpoint; in the help."""

_AT_ONCE: Final[frozenset[Place]] = frozenset({"anywhere", "text"})
"""Here keys are taken before what has the focus is asked: textual hands those that are typed fast
to what had the focus before, and a symbol typed right behind `b` would step the kernel."""

ALWAYS: Final[frozenset[Activity]] = frozenset({"starting", "running", "stopped", "exited"})
_STANDS: Final[frozenset[Activity]] = frozenset({"stopped"})
_RUNS: Final[frozenset[Activity]] = frozenset({"running"})


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or several that do the same."""

    keys: str
    """Textual's names for them, with spaces between."""
    does: Move | str
    """The way of letting the kernel run, or the method with its arguments. Empty where textual, or
    a widget by itself, sees to the key."""
    group: Group
    help: str = ""
    """What it does, in words; empty for a key that is not listed."""
    label: str = ""
    """In the last line of the screen; empty for a key that is not in it."""
    short: str = ""
    """The same where it is tight; empty if the label is short."""
    shown: str = ""
    """What the keys are called in lists; empty if that is `keys`."""
    typed: str = ""
    """What gdb calls the same: typed on its line, it does what the key does."""
    when: frozenset[Activity] = ALWAYS
    """What the kernel must be doing, for the key to do anything."""
    place: Place = "anywhere"
    while_typing: bool = False
    """Whether it does that in a line, too, rather than go into it."""

    @property
    def name(self) -> str:
        """What the keys are called in lists."""
        return self.shown or self.keys

    @property
    def action(self) -> str:
        """What textual is told to do."""
        if self.place == "anywhere":
            return f"press({self.keys!r})"
        return str(self.does)


# fmt: off
KEYS: Final = (
    Key("s", Move.STEP_LINE, "running", "run to the next source line, into calls",
        "step", typed="s step", when=_STANDS),
    Key("n", Move.NEXT_LINE, "running", "run to the next source line of this function",
        "next", typed="n next", when=_STANDS),
    Key("i", Move.STEP_INSTRUCTION, "running", "execute one instruction",
        "stepi", typed="si stepi", when=_STANDS),
    Key("f", Move.FINISH, "running", "run until this function returns",
        "finish", "fin", typed="fin finish", when=_STANDS),
    Key("c", Move.RESUME, "running", "let the kernel run",
        "continue", "cont", typed="c continue", when=_STANDS),
    Key("x", "interrupt", "running", "stop the running kernel (Ctrl-C too)",
        "interrupt", "intr", when=_RUNS),
    Key("ctrl+c", "interrupt", "running", when=_RUNS, while_typing=True),
    Key("t", Move.NEXT_TRAP, "running", "run until the trap handler is entered",
        "next trap", "trap", when=_STANDS),
    Key("b", "ask_breakpoint", "running", "stop at a symbol, file:line or *address",
        "breakpoint", "brk", when=_STANDS | _RUNS),
    Key("r", "restart", "running", "boot again; breakpoints stay",
        "restart", "rst", when=ALWAYS - {"starting"}),
    Key("colon", "gdb_line", "typing", "type a gdb command; Up and Down recall earlier ones",
        "gdb", shown=":"),
    Key("z", "zoom", "looking", "give the focused panel the whole screen, and back",
        "zoom", place="panels"),
    Key("T", "next_thread", "looking",
        "Context, Page table and Code of the next thread that waits; at last of the hart again",
        when=_STANDS),
    Key("question_mark", "help", "rcdbg", "this list", "help", shown="?"),
    Key("q", "leave", "rcdbg", "end the kernel and leave", "quit"),
    Key("tab", "next_panel(1)", "looking", "the next panel, the one before; also a click",
        shown="Tab, Shift+Tab", place="panels"),
    Key("shift+tab", "next_panel(-1)", "looking", place="panels"),
    Key("tab", "", "typing", "completes the command, and what rc print takes",
        shown="Tab in gdb's line", place="line"),
    Key("up down pageup pagedown", "", "looking", "scroll the focused panel",
        shown="Up, Down, PgUp, PgDn", place="panels"),
    Key("k", "console_line", "typing", "type a line to the kernel", shown="k, Enter on Console"),
    Key("enter", "open_line", "typing", place="text"),
    Key("escape", "leave_zoom", "looking", "back to the panels, back from zoom",
        shown="Esc", place="panels"),
    Key("w", "write_snapshot", "rcdbg", "write the stopped kernel to a snapshot file",
        when=_STANDS),
    Key("L", "toggle_light", "looking", "light or dark"),
    Key("up", "older", "typing", place="line"),
    Key("down", "newer", "typing", place="line"),
    Key("escape", "leave", "typing", place="line"),
    Key("escape", "cancel", "typing", place="question"),
    Key("up", "move(-1)", "typing", place="question", while_typing=True),
    Key("down", "move(1)", "typing", place="question", while_typing=True),
    Key("tab", "complete", "typing", place="question", while_typing=True),
    Key("escape question_mark q enter", "leave", "looking", place="help"),
)
"""All of them, in the order in which they are listed."""
# fmt: on

MOVES: Final = {key.keys: key.does for key in KEYS if isinstance(key.does, Move)}
"""The keys that let the kernel run."""

TYPED_MOVES: Final = {
    word: key.does for key in KEYS if isinstance(key.does, Move) for word in key.typed.split()
}
"""What gdb calls them."""


def bindings(place: Place) -> list[BindingType]:
    """What textual binds in one place; who has them says in `check_action` when they are off."""
    first = place in _AT_ONCE
    return [
        Binding(",".join(key.keys.split()), key.action, priority=first or key.while_typing)
        for key in KEYS
        if key.place == place and key.does
    ]


def pressed(keys: str) -> Key:
    """The row of what textual was told to do: `press(keys)`."""
    return next(key for key in KEYS if key.place == "anywhere" and key.keys == keys)
