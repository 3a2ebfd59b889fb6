"""What the documents say of the table."""

from collections.abc import Iterator

from rcdbg.subjects import table
from rcdbg.subjects.prompt import usage
from rcdbg.subjects.report import keys
from rcdbg.subjects.subject import Reading, Subject


def json_table() -> str:
    """For docs/json.md: each question, and the key of the document that answers it."""
    rows = [row for entry in table.SUBJECTS for row in _subject(entry)]
    rows += [row for entry in table.QUESTIONS for row in _question(entry)]
    return "\n".join(("| command | key |", "| --- | --- |", *rows)) + "\n"


def _row(commands: list[str], reading: Reading) -> str:
    key = f"`{reading.key}`"
    if reading is table.subject("all").reading:
        key += f": {', '.join(f'`{part}`' for part in keys())}"
    if reading.note:
        key += f"{':' if reading.note.startswith('see') else ','} {reading.note}"
    return f"| {', '.join(f'`{command}`' for command in commands)} | {key} |"


def _subject(entry: Subject) -> Iterator[str]:
    yield _row([f"show {entry.name}", f"rc {entry.name}"], entry.reading)
    shown = {option.flag: option.shown for option in entry.options}
    for variant in entry.variants:
        if variant.reading is not entry.reading:
            first, *more = (shown[flag] for flag in variant.flags)
            yield _row([f"show {entry.name} {first}", *more], variant.reading)


def _question(entry: Subject) -> Iterator[str]:
    name = usage(entry).replace("[", "").replace("]", "")
    yield _row([name, f"rc {name}"], entry.reading)
    if entry.without is not None:
        yield _row([entry.name, f"rc {entry.name}"], entry.without)
