"""The one palette: styles by what they mean.

Only the terminal's own sixteen colours are used, so that its theme keeps them readable on dark and
on light ground.
"""

from typing import Final

from rich.style import Style

PLAIN: Final = Style()
HEADING: Final = Style(bold=True)
LABEL: Final = Style(color="cyan")
ADDRESS: Final = Style(dim=True)
QUIET: Final = Style(dim=True)
SYMBOL: Final = Style(bold=True)
PROGRAM: Final = Style(color="magenta")
SOURCE: Final = Style(color="blue")
VALUE: Final = Style()
CHANGED: Final = Style(color="yellow", bold=True)
NOTE: Final = Style(italic=True)
GOOD: Final = Style(color="green")
WARNING: Final = Style(color="yellow", bold=True)
PROBLEM: Final = Style(color="red", bold=True)
RUNNING: Final = Style(color="green", bold=True)
READY: Final = Style(color="cyan")
SLEEPING: Final = Style(color="magenta")
DEAD: Final = Style(color="red")
READABLE: Final = Style(color="green")
WRITABLE: Final = Style(color="yellow")
EXECUTABLE: Final = Style(color="red", bold=True)
USER: Final = Style(color="magenta", bold=True)
USED_MEMORY: Final = Style(color="yellow")
FREE_MEMORY: Final = Style(color="green")
