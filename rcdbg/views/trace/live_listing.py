"""The listing of a recording that goes on: a sink that prints."""

from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.views.render import Printer
from rcdbg.views.trace.listing import INDENT, columns, ending, event_line, heading


class LiveListing:
    """Prints events as they come, on a terminal unless there is another `printer`."""

    def __init__(self, printer: Printer | None = None) -> None:
        self._printer = printer or Printer()
        self._header: TraceHeader | None = None

    def header(self, header: TraceHeader) -> None:
        """Print what is recorded, and the heads of the columns."""
        self._header = header
        self._printer.show(heading(header))
        self._printer.show(columns(header))

    def event(self, event: TraceEvent) -> None:
        """Print a line."""
        if self._header is not None:
            self._printer.line(event_line(event, self._header), INDENT)

    def end(self, end: TraceEnd) -> None:
        """Print how it ended."""
        self._printer.show(ending(end))
