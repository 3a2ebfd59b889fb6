"""What was read of a moment, remembered with it: nothing is decoded twice, or outlives it."""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from rcdbg.model.values.value import DecodeError

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel

P = ParamSpec("P")
T = TypeVar("T")


class Remembered:
    """Answers by question, of one moment. A DecodeError is an answer too."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: dict[Hashable, object] = {}

    def answer(self, question: Hashable, find: Callable[[], T]) -> T:
        """What `find` returns, called once for each question; raises what it raised then."""
        if question in self._answers:
            known = self._answers[question]
            if isinstance(known, DecodeError):
                # The places where it was raised before would add up, and be kept alive.
                raise known.with_traceback(None)
            return cast(T, known)
        try:
            found = self._answers[question] = find()
        except DecodeError as error:
            self._answers[question] = error
            raise
        return found


Reader = Callable[Concatenate["Kernel", P], T]


def once_a_moment(read: Reader[P, T]) -> Reader[P, T]:
    """Make a reader of a Kernel remember its answers with that Kernel, by its other arguments.

    These must be hashable, and its answers such that nobody changes them.
    """

    @wraps(read)
    def remembering(kernel: "Kernel", *args: P.args, **kwargs: P.kwargs) -> T:
        question = (read, args, tuple(kwargs.items()))
        return kernel.remembered.answer(question, lambda: read(kernel, *args, **kwargs))

    return cast(Reader[P, T], remembering)
