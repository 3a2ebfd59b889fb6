"""All that a test of a kernel imports: events to wait for, invariants, and the types of fixtures.

from rcdbg.testing import console, exited, switch, trap_enter

The words are those of `rcdbg.testing.words`, imported when the first of them is asked for: every
pytest run in an environment with rcdbg imports this package on the way to the plugin.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcdbg.testing.words import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        """One of the words, or the list of them as `__all__`."""
        if name == "__all__" or not name.startswith("_"):
            words = import_module("rcdbg.testing.words")
            if name == "__all__" or name in words.__all__:
                return getattr(words, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """The words."""
        return import_module("rcdbg.testing.words").__all__
