"""The options that single subjects take, for `rcdbg show SUBJECT` and for gdb's `rc SUBJECT` alike.

Both fronts parse the same words with the same parser; only what a number may be (a symbol, an
expression of gdb) is theirs to say, by the function that they pass.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rcdbg.errors import UsageError
from rcdbg.words import Words

if TYPE_CHECKING:
    from rcdbg.kernels.reading import Overlay
    from rcdbg.model.kernel import Kernel
    from rcdbg.model.memory.page_table import Root
    from rcdbg.views.subjects import Answer

Number = Callable[[str], int]
"""The number that a word means; raises UsageError."""

_ROOTS = ("process", "root", "satp")


def _add_roots(parser: argparse._ActionsContainer) -> None:
    """Which table: the one in satp if none of these is given."""
    parser.add_argument(
        "--process", metavar="N", help="the table of that process (see `memoryset`)"
    )
    parser.add_argument("--root", metavar="PPN", help="the table in that frame")
    parser.add_argument("--satp", metavar="VALUE", help="the table that this satp would name")


def _add_page_table(parser: argparse._ActionsContainer) -> None:
    _add_roots(parser)
    parser.add_argument("--writable", action="store_true", help="only what can be written to")
    parser.add_argument("--executable", action="store_true", help="only what can be run")
    parser.add_argument("--user", action="store_true", help="only what U-mode may use")
    parser.add_argument("--from", dest="start", metavar="VA", help="only what reaches above VA")
    parser.add_argument("--to", dest="end", metavar="VA", help="only what begins below VA")
    parser.add_argument("--by-physical", action="store_true", help="sort by physical address")
    parser.add_argument("--lint", action="store_true", help="instead: what is odd about the table")
    parser.add_argument("--aliases", action="store_true", help="instead: memory mapped repeatedly")
    parser.add_argument(
        "--to-physical", metavar="PA", help="instead: the virtual addresses that lead to PA"
    )
    parser.add_argument("--diff-process", metavar="N", help="instead: compare with that process's")
    parser.add_argument("--diff-root", metavar="PPN", help="instead: compare with that table")
    parser.add_argument("--diff-satp", metavar="VALUE", help="instead: compare with that table")
    parser.add_argument(
        "--against", metavar="FILE", help="instead: compare with the table in that snapshot"
    )


def _add_csr(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--explain", metavar="NAME", help="one CSR with every field explained: sstatus, ..."
    )


_ADD: dict[str, Callable[[argparse._ActionsContainer], None]] = {
    "pagetable": _add_page_table,
    "csr": _add_csr,
}


def _parser(subject: str) -> Words:
    parser = Words(prog=f"rc {subject}", add_help=False, allow_abbrev=False)
    if subject in _ADD:
        _ADD[subject](parser)
    return parser


def names(subject: str) -> list[str]:
    """The options of a subject, for completion."""
    return [name for action in _parser(subject)._actions for name in action.option_strings]


def usage(subject: str) -> str:
    """The options of a subject, a line each, for a help text; empty if it has none."""
    lines = []
    for action in _parser(subject)._actions:
        name = " ".join(
            [*action.option_strings, *([str(action.metavar)] if action.metavar else [])]
        )
        lines.append(f"  {name.ljust(22)} {action.help}")
    return "\n".join(lines)


def parse(subject: str, words: Sequence[str]) -> argparse.Namespace:
    """The options of a subject from words; raises UsageError for what it does not take."""
    return _parser(subject).parse_args(list(words))


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options of all subjects to the parser of `rcdbg show`."""
    for subject, add in _ADD.items():
        add(parser.add_argument_group(f"only for {subject}"))


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a page table to the parser of `rcdbg walk`."""
    _add_roots(parser)


def take_roots(words: list[str]) -> argparse.Namespace:
    """The options that name a page table, taken out of words that may be an expression of gdb.

    Raises UsageError for one without its value.
    """
    table = argparse.Namespace()
    for name in _ROOTS:
        option = f"--{name}"
        while option in words:
            at = words.index(option)
            if at + 1 == len(words):
                raise UsageError(f"{option} wants a value")
            setattr(table, name, words[at + 1])
            del words[at : at + 2]
    return table


def _given(arguments: argparse.Namespace, subject: str) -> list[str]:
    found = []
    for action in _parser(subject)._actions:
        if getattr(arguments, action.dest, action.default) != action.default:
            found.append(action.option_strings[0])
    return found


def asked(
    subject: str, arguments: argparse.Namespace
) -> "Callable[[Kernel, Number], Answer] | None":
    """What the options of a subject ask for, or None if there are none.

    Raises UsageError for an option that belongs to another subject.
    """
    for other in _ADD:
        if other != subject and (given := _given(arguments, other)):
            raise UsageError(f"{given[0]} is for {other}, not for {subject}")
    if subject not in _ADD or not _given(arguments, subject):
        return None
    ask = {"pagetable": _page_table, "csr": _csr}[subject]
    return lambda kernel, number: ask(kernel, arguments, number)


def _csr(kernel: "Kernel", arguments: argparse.Namespace, _number: Number) -> "Answer":
    from rcdbg.views.subjects import explain_answer

    return explain_answer(kernel, arguments.explain)


def kernel_in(file: Path | str, overlay: "Overlay") -> "Kernel":
    """The kernel in a snapshot; raises TargetError or ImageError if there is none."""
    from rcdbg.guest.snapshot import read_snapshot
    from rcdbg.image.elf import image_of
    from rcdbg.model.kernel import Kernel

    snapshot = read_snapshot(Path(file).expanduser())
    image = image_of(snapshot.elf, Path(f"{file}:{snapshot.kernel_name}"))
    return Kernel.now(image, snapshot.target, overlay)


def root(
    kernel: "Kernel", arguments: argparse.Namespace, number: Number, prefix: str = ""
) -> "Root | None":
    """The table that the options name, or None for the one in satp; raises UsageError."""
    from rcdbg.model.memory.page_table import Root
    from rcdbg.model.memory.processes import process_root
    from rcdbg.model.values.value import DecodeError
    from rcdbg.riscv.pages import FRAMES

    given = {n: v for n in _ROOTS if (v := getattr(arguments, prefix + n, None)) is not None}
    if len(given) > 1:
        one, other, *_ = (f"--{(prefix + n).replace('_', '-')}" for n in given)
        raise UsageError(f"{one} and {other} name two tables: give one of them")
    for name, text in given.items():
        value = number(text)
        if name == "satp":
            return Root.of_satp(value)
        if name == "root":
            if value >= FRAMES:
                raise UsageError(f"{text} is no frame number: it would be an address / 4096")
            return Root.of_frame(value, kernel.memory.satp)
        try:
            return process_root(kernel, value)
        except DecodeError as error:
            raise UsageError(str(error)) from error
    return None


def _page_table(kernel: "Kernel", arguments: argparse.Namespace, number: Number) -> "Answer":
    from rcdbg.model.memory import mappings
    from rcdbg.views import subjects

    where = root(kernel, arguments, number)
    later = kernel
    if arguments.against is not None:
        later = kernel_in(arguments.against, kernel.overlay)
    other = root(later, arguments, number, "diff_")
    wanted = mappings.Filter(
        arguments.writable,
        arguments.executable,
        arguments.user,
        None if arguments.start is None else number(arguments.start),
        None if arguments.end is None else number(arguments.end),
        arguments.by_physical,
    )
    instead = {
        "--lint": arguments.lint,
        "--aliases": arguments.aliases,
        "--to-physical": arguments.to_physical is not None,
        "--diff-...": other is not None,
        "--against": arguments.against is not None and other is None,
    }
    chosen = [name for name, given in instead.items() if given]
    if len(chosen) > 1:
        raise UsageError(f"{chosen[0]} and {chosen[1]} are two questions: ask one")
    if chosen and wanted.words:
        raise UsageError(f"{chosen[0]} looks at the whole table: it takes no filter")
    if arguments.lint:
        return subjects.lint_answer(kernel, where)
    if arguments.aliases:
        return subjects.aliases_answer(kernel, where)
    if arguments.to_physical is not None:
        return subjects.reverse_answer(kernel, number(arguments.to_physical), where)
    if arguments.against is not None:
        # Unless told otherwise the same question there: satp, or process N, as it was then.
        there = other if other is not None else root(later, arguments, number)
        return subjects.moments_answer((kernel, where), (later, there), str(arguments.against))
    if other is not None:
        return subjects.diff_answer(kernel, where, other)
    return subjects.filtered_answer(kernel, wanted, where)
