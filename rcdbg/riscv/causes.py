"""Trap causes (scause): privileged spec, section 4.1.8 and table 4.2."""

INTERRUPT_BIT = 1 << 63

EXCEPTIONS: dict[int, str] = {
    0: "instruction address misaligned",
    1: "instruction access fault",
    2: "illegal instruction",
    3: "breakpoint",
    4: "load address misaligned",
    5: "load access fault",
    6: "store address misaligned",
    7: "store access fault",
    8: "environment call from U-mode",
    9: "environment call from S-mode",
    12: "instruction page fault",
    13: "load page fault",
    15: "store page fault",
    18: "software check",
    19: "hardware error",
}
"""Exception codes; what is missing is reserved or custom."""

INTERRUPTS: dict[int, str] = {
    1: "supervisor software interrupt",
    5: "supervisor timer interrupt",
    9: "supervisor external interrupt",
    13: "counter overflow interrupt",
}
"""Interrupt codes that can reach S-mode."""


def is_interrupt(scause: int) -> bool:
    """Whether the trap was an interrupt and not an exception."""
    return bool(scause & INTERRUPT_BIT)


def code(scause: int) -> int:
    """The exception or interrupt code, without the interrupt bit."""
    return scause & (INTERRUPT_BIT - 1)


def describe(scause: int) -> str:
    """The cause in words; reserved codes are called so."""
    table, kind = (INTERRUPTS, "interrupt") if is_interrupt(scause) else (EXCEPTIONS, "exception")
    return table.get(code(scause), f"reserved or custom {kind} {code(scause)}")


def named(name: str) -> int | None:
    """The scause value that `name` means, or None.

    Takes the words of `describe` or a unique part of them ("breakpoint", "timer",
    "store page fault"), in any case, with `_` or `-` for blanks.
    """
    wanted = _plain(name)
    every = {_plain(text): value for value, text in EXCEPTIONS.items()}
    every |= {_plain(text): value | INTERRUPT_BIT for value, text in INTERRUPTS.items()}
    if wanted in every:
        return every[wanted]
    matches = [value for text, value in every.items() if wanted in text]
    return matches[0] if wanted and len(matches) == 1 else None


def _plain(words: str) -> str:
    return words.lower().replace("_", " ").replace("-", " ").strip()
