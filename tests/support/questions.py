"""Questions as they are typed after `rcdbg show` and `rc`, asked of a kernel directly."""

from rcdbg.model.kernel import Kernel
from rcdbg.subjects import prompt, table
from rcdbg.subjects.subject import Answer
from rcdbg.words import take


def ask(kernel: Kernel, question: str) -> Answer:
    """The answer to a subject with its options, such as "pagetable --lint", or to "walk 0x1234"."""
    name, *words = question.split()
    entry = table.subject(name)
    given, rest = take(name, prompt.options(entry), words)
    return entry.question(given, rest).answer(kernel, lambda _, text: int(text, 0))


def walk(kernel: Kernel, address: int) -> Answer:
    """The answer to `walk ADDRESS`."""
    return ask(kernel, f"walk {address:#x}")
