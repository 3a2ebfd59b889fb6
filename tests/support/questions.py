"""Questions as they are typed after `rcdbg show` and `rc`, asked of a kernel directly."""

from rcdbg.cli import subject_options
from rcdbg.model.kernel import Kernel
from rcdbg.views.subjects import Answer, subject


def ask(kernel: Kernel, question: str) -> Answer:
    """The answer to a subject and its options, such as "pagetable --lint"."""
    name, *words = question.split()
    asked = subject_options.asked(name, subject_options.parse(name, words))
    if asked is None:
        return subject(name).answer(kernel)
    return asked(kernel, lambda text: int(text, 0))
