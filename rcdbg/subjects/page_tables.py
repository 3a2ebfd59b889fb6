"""Questions about page tables: which table the words name, and what they want to know of it."""

from rcdbg.errors import UsageError
from rcdbg.model.kept import kernel_in
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory import mappings, table_aliases, table_diff, table_lint
from rcdbg.model.memory.page_table import Root, read_page_table
from rcdbg.model.memory.page_table import translate as translate_address
from rcdbg.model.memory.processes import process_root
from rcdbg.model.state import PageTable, Translation
from rcdbg.model.threads.selected import select, task_root
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.pages import FRAMES
from rcdbg.subjects.subject import Asked
from rcdbg.subjects.table import DIFF_ROOTS, ROOTS, TASK


def root(kernel: Kernel, asked: Asked, options: tuple[str, ...] = ROOTS) -> Root | None:
    """The table that the options name, or None for the one in satp.

    `options` name a process, a frame, a value of satp, in that order, and maybe a thread. Raises
    UsageError for two of them, and for what there is none of.
    """
    named = asked.given.among(options)
    if len(named) > 1:
        raise UsageError(f"{named[0]} and {named[1]} name two tables: give one of them")
    for flag in named:
        text = asked.given.text(flag) or ""
        if flag == options[0]:
            return _of_process(kernel, asked, text)
        if flag == TASK:
            return task_root(kernel, select(kernel, text))
        value = asked.number(text)
        if flag == options[2]:
            return Root.of_satp(value)
        if flag == options[1]:
            if value >= FRAMES:
                raise UsageError(f"{text} is no frame number: it would be an address / 4096")
            return Root.of_frame(value, kernel.memory.satp)
    return None


def _of_process(kernel: Kernel, asked: Asked, text: str) -> Root:
    """The table of a process by its number, its name, or what gives its struct's address."""
    try:
        return process_root(kernel, int(text, 0))
    except ValueError:
        pass
    except DecodeError as error:
        raise UsageError(str(error)) from error
    try:
        return process_root(kernel, text)
    except DecodeError as unknown:
        try:
            return process_root(kernel, asked.number(text))
        except (DecodeError, UsageError):
            raise UsageError(str(unknown)) from unknown


def translate(kernel: Kernel, asked: Asked) -> Translation:
    """The way of a virtual address through a table."""
    return translate_address(kernel, asked.number(asked.argument), root(kernel, asked))


def table(kernel: Kernel, asked: Asked) -> PageTable:
    """The table that is asked for, or the ranges of it that are wanted."""
    if not asked.given:
        return read_page_table(kernel)
    given = asked.given
    start, end = given.text("--from"), given.text("--to")
    wanted = mappings.Filter(
        writable="--writable" in given,
        executable="--executable" in given,
        user="--user" in given,
        start=None if start is None else asked.number(start),
        end=None if end is None else asked.number(end),
        by_physical="--by-physical" in given,
    )
    return mappings.filtered(kernel, wanted, root(kernel, asked))


def reverse(kernel: Kernel, asked: Asked) -> mappings.Reverse:
    """The virtual addresses of a physical one."""
    physical = asked.number(asked.given.text("--to-physical") or "")
    return mappings.virtuals(kernel, physical, root(kernel, asked))


def aliases(kernel: Kernel, asked: Asked) -> table_aliases.Aliases:
    """What the table maps more than once."""
    return table_aliases.read_aliases(kernel, root(kernel, asked))


def lint(kernel: Kernel, asked: Asked) -> table_lint.Lint:
    """What is odd about the table."""
    return table_lint.lint(kernel, root(kernel, asked))


def diff(kernel: Kernel, asked: Asked) -> table_diff.TableDiff:
    """Two tables of this moment compared."""
    return table_diff.diff_roots(kernel, root(kernel, asked), root(kernel, asked, DIFF_ROOTS))


def moments(kernel: Kernel, asked: Asked) -> table_diff.TableDiff:
    """A table of this moment compared with one of a snapshot."""
    file = asked.given.text("--against") or ""
    later = kernel_in(file, kernel.overlay)
    # Unless told otherwise the same question there: satp, or process N, as it was then.
    there = root(later, asked, DIFF_ROOTS) or root(later, asked)
    return table_diff.diff_moments((kernel, root(kernel, asked)), (later, there), file)
