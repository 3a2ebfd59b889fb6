"""Guest time for people: as text, and as an axis with round numbers."""

from fractions import Fraction

from rcdbg.trace.analysis.timeline import Timeline

_UNITS = ((Fraction(1), "s"), (Fraction(1, 1000), "ms"), (Fraction(1, 10**6), "µs"))


def duration(ticks: int, timebase_hz: int | None) -> str:
    """A stretch of time in the unit that suits it, to four digits: `1.5 ms`, `320 µs`, `0 s`."""
    if not timebase_hz:
        return f"{ticks:,} ticks"
    seconds = Fraction(ticks, timebase_hz)
    for unit, name in _UNITS:
        if abs(seconds) >= unit:
            return f"{float(seconds / unit):.4g} {name}" if seconds < 10_000 else f"{ticks:,} ticks"
    return f"{float(seconds * 10**6):.4g} µs" if ticks else "0 s"


def instant(ticks: int | None, timebase_hz: int | None) -> str:
    """A time since the machine's start in milliseconds, with every digit that the clock has."""
    if ticks is None:
        return "-"
    if not timebase_hz:
        return f"{ticks}t"
    digits = max(0, len(str(timebase_hz - 1)) - 3)
    scaled = ticks * 1000 * 10**digits // timebase_hz
    whole, rest = divmod(scaled, 10**digits)
    return f"{whole}.{rest:0{digits}}" if digits else str(whole)


def axis_marks(timeline: Timeline, most: int) -> list[tuple[int, str]]:
    """At most about `most` places on the axis with round numbers, and what to write there."""
    span = timeline.end - timeline.start
    hz = timeline.header.timebase_hz
    if timeline.axis == "events" or not hz:
        step = max(1, _round(Fraction(span, max(1, most))).__ceil__())
        name = "#" if timeline.axis == "events" else "t"
        return [(at, f"{name}{at:,}") for at in _places(timeline, Fraction(step))]
    unit, name = next((u for u in _UNITS if Fraction(span, hz) >= u[0]), _UNITS[-1])
    step_units = _round(Fraction(span, max(1, most)) / (unit * hz))
    digits = max(0, len(str((1 / step_units).__ceil__())) - (step_units >= 1))
    return [
        (at, f"{float(Fraction(at) / (unit * hz)):,.{digits}f} {name}")
        for at in _places(timeline, step_units * unit * hz)
    ]


def _round(value: Fraction) -> Fraction:
    """The least of 1, 2, 5, 10, ... times a power of ten that is not below `value`."""
    power = Fraction(1)
    while power > value > 0:
        power /= 10
    while power * 10 <= value:
        power *= 10
    return next((power * n for n in (1, 2, 5) if power * n >= value), power * 10)


def _places(timeline: Timeline, step: Fraction) -> list[int]:
    first = (timeline.start / step).__ceil__()
    found: list[int] = []
    while (at := (first * step).__round__()) <= timeline.end and len(found) < 1000:
        if at >= timeline.start and at not in found[-1:]:
            found.append(at)
        first += 1
    return found
