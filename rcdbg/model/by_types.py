"""What types alone tell, found once for each image and forgotten with it."""

from collections.abc import Callable, Hashable
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from rcdbg.image.types import TypeTable

T = TypeVar("T")

_known: WeakKeyDictionary[TypeTable, dict[Hashable, object]] = WeakKeyDictionary()


def by_types(types: TypeTable, question: Hashable, find: Callable[[], T]) -> T:
    """What `find` returns, called once for each question about these types."""
    answers = _known.get(types)
    if answers is None:
        answers = _known[types] = {}
    if question not in answers:
        answers[question] = find()
    return cast(T, answers[question])
