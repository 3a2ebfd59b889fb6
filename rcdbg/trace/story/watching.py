"""What a story watches: the events that its test has asked for, and those that are always told."""

from collections.abc import Iterable, Sequence
from typing import Any

from rcdbg.errors import UsageError
from rcdbg.guest.protocol import Target
from rcdbg.image.elf import Image
from rcdbg.kernels.reading import Overlay
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import needed, plan
from rcdbg.trace.patterns import Either, Pattern
from rcdbg.trace.record import TraceEvent


class Watch:
    """An observer that is told to look for more as the test asks for it."""

    def __init__(
        self, image: Image, overlay: Overlay, memory: Target, kinds: Sequence[str]
    ) -> None:
        self._image = image
        self._overlay = overlay
        self.plan = plan(image, overlay, tuple(dict.fromkeys(kinds)))
        self._observer = Observer(image, overlay, self.plan, memory)
        self.places = self._observer.addresses

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of events that are told now."""
        return self.plan.kinds

    def demand(self, awaited: Iterable[Any]) -> None:
        """Look for these from here on.

        Raises UsageError for a function that does not exist, and for events that cannot be seen in
        this kernel: waiting for them would be in vain.
        """
        kinds, hits = kinds_of(awaited)
        functions = tuple(dict.fromkeys((*self.plan.hits, *hits)))
        more = tuple(
            kind for kind in dict.fromkeys((*self.plan.kinds, *kinds)) if kind != "hit" or functions
        )
        if (more, functions) != (self.plan.kinds, self.plan.hits):
            self.plan = plan(self._image, self._overlay, more, functions)
            self._observer.look_for(self.plan)
            self.places = self._observer.addresses
        for kind in kinds:
            why = self.plan.unseen.get(kind)
            if why is not None and not self._is_seen_somewhere(kind):
                raise UsageError(f"{kind} events cannot be seen in this kernel: {why}")

    def _is_seen_somewhere(self, kind: str) -> bool:
        """Whether some of them are seen, though not all."""
        return any(probe.what in needed(kind) for probe in self.plan.probes)

    def events(self, moment: Moment) -> list[TraceEvent]:
        """What has happened by this moment."""
        return self._observer.feed(moment)

    def rest(self) -> list[TraceEvent]:
        """What was open when the machine ended."""
        return self._observer.finish()


def kinds_of(awaited: Iterable[Any]) -> tuple[set[str], set[str]]:
    """The kinds of events, and the functions, that have to be watched for these to be seen."""
    kinds: set[str] = set()
    hits: set[str] = set()
    for one in awaited:
        if isinstance(one, Either):
            more = kinds_of(one.matchers)
            kinds |= more[0]
            hits |= more[1]
        elif isinstance(one, Pattern) and one.kind is not None:
            kinds.add(one.kind)
            symbol = one.fields.get("symbol")
            if one.kind == "hit" and isinstance(symbol, str):
                hits.add(symbol)
    return kinds, hits
