"""The thread that all questions are about, if the user has selected one, until `rc task none`."""

from __future__ import annotations

_selected: str | None = None
"""Its address, as the word that finds it again."""


def select(address: int | None) -> None:
    """Ask about the thread whose struct lies there from now on; None for the hart."""
    global _selected  # noqa: PLW0603
    _selected = None if address is None else f"{address:#x}"


def selected() -> str | None:
    """The word that names the selected thread, or None."""
    return _selected
