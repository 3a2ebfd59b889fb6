"""The screen of the panels: what is where, what has the focus, and how a stop is painted."""

from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size
from textual.screen import Screen

from rcdbg.model.state import KernelState
from rcdbg.tui.course import Activity
from rcdbg.tui.keys import bindings
from rcdbg.tui.session import Stopped
from rcdbg.tui.widgets.arrangement import PanelGrid, PanelLayout, is_compact
from rcdbg.tui.widgets.bars import FirstFinding, Header, KeyBar
from rcdbg.tui.widgets.contents import CONTENTS, DOCTOR, PANELS
from rcdbg.tui.widgets.panels import ConsolePanel, GdbPanel, Panel, ViewPanel

_BARS_HEIGHT: Final = 2


class Desk(Screen[None]):
    """Header, panels and keys; Tab goes through the panels in their own order."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("panels")

    def __init__(self, kernel: str, scenario: str) -> None:
        super().__init__()
        self.console_panel, self.gdb_panel = ConsolePanel(), GdbPanel()
        self._views = {
            content.name: ViewPanel(content.name, content.title)
            for content in CONTENTS
            if content.draw is not None
        }
        self._panels: dict[str, Panel] = {
            **self._views,
            "console": self.console_panel,
            "gdb": self.gdb_panel,
        }
        self._header, self._keys = Header(kernel, scenario), KeyBar()
        self._verdict = FirstFinding()
        self._arrangement = PanelLayout()
        self._grid = PanelGrid(self._arrangement, id="panels")

    def compose(self) -> ComposeResult:
        """Textual asks for the children."""
        yield self._header
        yield self._verdict
        with self._grid:
            for name in PANELS:
                yield self._panels[name]
        yield self._keys

    def on_mount(self) -> None:
        """Textual is ready."""
        self.action_next_panel(0)

    def fit(self, size: Size) -> None:
        """The terminal has another size."""
        self.set_class(is_compact(size.width, size.height - _BARS_HEIGHT), "-compact")

    # The kernel

    def show_activity(self, activity: Activity, reason: str) -> None:
        """What the kernel does now; panels that do not show this moment are dim."""
        self._header.update(activity, reason)
        self._keys.update(activity)
        self._grid.set_class(activity in ("running", "exited"), "-stale")

    def paint(self, stopped: Stopped, before: KernelState | None) -> None:
        """All panels from one moment; what differs from `before` is marked."""
        self._verdict.show(stopped.diagnosis)
        for content in CONTENTS:
            if content.detail is not None:
                self._panels[content.name].set_title(content.detail(stopped))
            if content.draw is not None:
                self._views[content.name].show(partial(content.draw, stopped, before))

    def show_diagnosis(self, stopped: Stopped) -> None:
        """What the doctor has said of the moment that the panels show."""
        self._verdict.show(stopped.diagnosis)
        for content in CONTENTS:
            if content.name == DOCTOR and content.draw is not None:
                self._views[DOCTOR].show(partial(content.draw, stopped, None))

    def note(self, *lines: Text) -> None:
        """Add lines to gdb's panel."""
        self.gdb_panel.log_lines(lines)

    # The focus

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Another panel has the focus."""
        panel = next((p for p in event.widget.ancestors_with_self if isinstance(p, Panel)), None)
        if panel is not None and panel.id is not None:
            self._follow_focus(panel.id)

    def action_next_panel(self, by: int) -> None:
        """Focus the next panel, or the one before."""
        here = PANELS.index(self._arrangement.focused or PANELS[0])
        name = PANELS[(here + by) % len(PANELS)]
        self.set_focus(self._panels[name].body)
        # Not only when textual tells of it: the next key may rely on it.
        self._follow_focus(name)

    def open_gdb_line(self) -> None:
        """Let the user type to gdb."""
        self.gdb_panel.open_line()
        self._follow_focus("gdb")

    def open_console_line(self) -> None:
        """Let the user type to the kernel."""
        self.console_panel.open_line()
        self._follow_focus("console")

    def action_zoom(self) -> None:
        """Give the focused panel the whole screen, or take it back."""
        arrangement = self._arrangement
        arrangement.zoomed = arrangement.focused if arrangement.zoomed is None else None
        self._arrange_again()

    def action_leave_zoom(self) -> None:
        """Escape among the panels: end the zoom."""
        if self._arrangement.zoomed is not None:
            self.action_zoom()

    def _follow_focus(self, name: str) -> None:
        if name == self._arrangement.focused:
            return
        self._arrangement.focused = name
        if self._arrangement.zoomed is not None:
            self._arrangement.zoomed = name
        self._arrange_again()

    def _arrange_again(self) -> None:
        # Asked of a child: only then does textual drop the places that it has remembered.
        self.gdb_panel.refresh(layout=True)
