"""The first line of the screen, what the kernel does, and the last one, the keys."""

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

from rcdbg.doctor.examine import Diagnosis
from rcdbg.doctor.finding import Finding
from rcdbg.tui.course import Activity
from rcdbg.tui.keys import KEYS, Key
from rcdbg.tui.widgets.strips import strips_of
from rcdbg.views.common import guest, styled
from rcdbg.views.doctor import headline

_BADGES: Final = {
    "starting": "bold black on cyan",
    "running": "bold black on green",
    "stopped": "bold black on yellow",
    "exited": "bold white on red",
}
_SYMBOLS: Final = {"starting": "…", "running": "▶", "stopped": "■", "exited": "✗"}


class _Bar(Widget):
    """One line, rendered by `line`."""

    DEFAULT_CSS = "_Bar { height: 1; width: 1fr; }"

    def line(self, width: int) -> Text:
        """The content for a line of `width` columns."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """Textual asks for one line on the screen."""
        width, style = self.size.width, self.rich_style
        text = self.line(width)
        text.truncate(width, overflow="ellipsis")
        strips = strips_of(self.app.console, text, width)
        return strips[0].crop_extend(0, width, style).apply_style(style)


class Header(_Bar):
    """The kernel's name, the scenario, and what the kernel does, with the reason."""

    def __init__(self, kernel: str, scenario: str) -> None:
        super().__init__(id="header")
        self.kernel = kernel
        self.scenario = scenario
        self.activity: Activity = "starting"
        self.reason = ""

    def update(self, activity: Activity, reason: str) -> None:
        """Show another activity."""
        self.activity, self.reason = activity, reason
        self.refresh()

    def line(self, width: int) -> Text:
        """`rcdbg kernel scenario STATE reason`."""
        text = styled(" rcdbg ", "bold")
        text.append_text(guest(self.kernel))
        if self.scenario:
            text.append("  scenario ", "dim").append_text(guest(self.scenario))
        text.append("  ")
        badge = f" {_SYMBOLS[self.activity]} {self.activity.upper()} "
        text.append(badge, _BADGES[self.activity])
        return text.append(" ").append_text(guest(self.reason))


class FirstFinding(_Bar):
    """What the doctor found, in a line; there only while there is something."""

    def __init__(self) -> None:
        super().__init__(id="verdict")
        self.display = False
        self._finding: Finding | None = None

    def show(self, diagnosis: Diagnosis | None) -> None:
        """Show the first of what is more than a note."""
        self._finding = None if diagnosis is None else diagnosis.headline
        self.display = self._finding is not None
        self.refresh()

    def line(self, width: int) -> Text:
        """` error[RC0101]: ...`."""
        return Text(" ") + headline(self._finding) if self._finding is not None else Text()


_KEYS: Final = tuple(key for key in KEYS if key.label)
_ALWAYS: Final = 3
"""So many of them, the last ones, are shown however narrow the screen is."""


class KeyBar(_Bar):
    """The keys; those that can do nothing now are dim."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self.activity: Activity = "starting"

    def update(self, activity: Activity) -> None:
        """Show the keys for another activity."""
        if activity != self.activity:
            self.activity = activity
            self.refresh()

    def line(self, width: int) -> Text:
        """All keys if they fit, in short if they must; the last of them are the last to go."""
        full = self._keys(_KEYS, short=False)
        if full.cell_len <= width:
            return full
        for count in range(len(_KEYS), _ALWAYS, -1):
            some = self._keys((*_KEYS[: count - _ALWAYS], *_KEYS[-_ALWAYS:]), short=True)
            if some.cell_len <= width:
                return some
        return self._keys(_KEYS[-_ALWAYS:], short=True)

    def _keys(self, keys: Sequence[Key], *, short: bool) -> Text:
        text = Text()
        for key in keys:
            active = self.activity in key.when
            text.append("  " if text else " ")
            text.append(key.name, "bold bright_blue" if active else "dim")
            text.append(f" {(short and key.short) or key.label}", "" if active else "dim")
        return text
