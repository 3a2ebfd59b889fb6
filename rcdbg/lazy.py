"""Functions that a table names as "module:function", and imports when they are used."""

from importlib import import_module
from typing import Any


def named(name: str) -> Any:
    """The function, or class, that "module:function" names."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)
