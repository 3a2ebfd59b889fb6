"""`rc` and its subcommands."""

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import gdb

from gdbscripts.snapshot_command import Snapshot
from gdbscripts.target import GdbTarget
from rcdbg.cli import subject_options
from rcdbg.errors import ImageError, RcdbgError, UsageError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.match import differs_from_memory
from rcdbg.image.resolve import resolve
from rcdbg.model.kernel import DEFAULT_PROFILE, Kernel
from rcdbg.model.profile import Profile
from rcdbg.views.render import render_text
from rcdbg.views.subjects import SUBJECTS, Answer, Subject, walk_answer

_JSON = "--json"
_DEFAULT_WIDTH = 120


@functools.lru_cache(maxsize=2)
def _image(path: str, mtime_ns: int, size: int) -> Image:
    return load_image(Path(path))


def current_image() -> Image:
    """The image of the ELF that gdb has loaded; raises ImageError without one."""
    space = gdb.current_progspace()
    name = space.filename if space else None
    if not name:
        raise ImageError("gdb has no ELF: file PATH/TO/os")
    try:
        status = Path(name).stat()
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror}") from error
    return _image(name, status.st_mtime_ns, status.st_size)


_kernel: Kernel | None = None
"""The kernel of this stop: gdb's events drop it when it may have changed."""


_profile = DEFAULT_PROFILE
"""The names that the kernel uses; `rc profile` sets others."""


def use_profile(profile: Profile) -> None:
    """Look for these names from now on."""
    global _profile  # noqa: PLW0603
    _profile = profile
    _forget()


def _forget(*_: object) -> None:
    global _kernel  # noqa: PLW0603  # gdb's events reach module-level functions only
    _kernel = None


def current_kernel() -> Kernel:
    """The kernel at this stop; raises RcdbgError if there is none, or the ELF is another one."""
    global _kernel  # noqa: PLW0603
    if _kernel is None:
        image = current_image()
        kernel = Kernel.now(image, GdbTarget(), _profile)
        if why := differs_from_memory(image, kernel.target.read_phys):
            raise ImageError(why)
        _kernel = kernel
    return _kernel


class _Rc(gdb.Command):
    """rcdbg: what the bytes of an rCore-style kernel mean.

    rc context           the Context of the trap that is being handled
    rc csr               the supervisor CSRs, with their fields in words
    rc walk ADDRESS      an address through the page table, level by level
    rc pagetable         the page table in satp, equal neighbours merged
    rc frames            the physical frames: free intervals, used, total
    rc memoryset         the address spaces: segments beside the page table
    rc threads           the threads: running, ready in their order, sleeping
    rc owners            who has each physical frame; conflicts, leaks, a map
    rc heap              the kernel heap: free blocks by order, broken links
    rc thread ID         one thread in full; rc thread ID bt, rc thread ID frame N
    rc backtrace         the call stack, through the trap into the code that it interrupted
    rc backtraces        the threads, each with its call stack
    rc profile FILE      the names that this kernel uses
    rc all               everything
    rc snapshot FILE     all of it in one file, for rcdbg show --snapshot FILE
    rc print PATH        a static of the kernel, or a part of one

    What shows something takes --json, for programs. `help rc walk` and so on tell more.
    """

    def __init__(self) -> None:
        super().__init__("rc", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, prefix=True)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """`rc` alone: what there is."""
        if argument.strip():
            raise gdb.GdbError(f'rcdbg: no command "rc {argument.split()[0]}": see help rc')
        gdb.execute("help rc")


class _Show(gdb.Command):
    """Shows one subject."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.__doc__ = (
            f"Show {subject.about}.\n\n"
            f"Usage: rc {subject.name} [--json]\n\n"
            f"Example: rc {subject.name} --json"
        )
        if options := subject_options.usage(subject.name):
            self.__doc__ += f"\n\nOptions:\n{options}"
        super().__init__(f"rc {subject.name}", gdb.COMMAND_DATA)

    def complete(self, text: str, word: str | None) -> list[str]:
        """The options."""
        return _options(text, word, (_JSON, *subject_options.names(self._subject.name)))

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Decode, render, print."""
        words = gdb.string_to_argv(argument)
        as_json = take_json(words)
        try:
            arguments = subject_options.parse(self._subject.name, words)
            ask = subject_options.asked(self._subject.name, arguments)
        except UsageError as error:
            raise gdb.GdbError(f"rcdbg: {error}") from error
        if ask is None:
            answer(self._subject.answer, as_json)
        else:
            answer(lambda kernel: ask(kernel, lambda t: _address(t, kernel)), as_json)


class _Walk(gdb.Command):
    """Walk an address through the page table in satp, level by level.

    Usage: rc walk ADDRESS [--process N | --root PPN | --satp VALUE] [--json]

    ADDRESS is any expression of gdb, or a symbol.
    Examples: rc walk 0xffffffff80200000
              rc walk $sp
              rc walk handle_interrupt
    """

    def __init__(self) -> None:
        super().__init__("rc walk", gdb.COMMAND_DATA)

    def complete(self, text: str, word: str | None) -> list[str]:
        """Symbols of the kernel, and the option."""
        if word is None:  # gdb asks first where words end
            return []
        if text.split(" ")[-1].startswith("-"):
            return _options(text, word)
        try:
            return current_image().symbols.complete(word)[:50]
        except RcdbgError:
            return []

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Evaluate the address, walk, print."""
        words = gdb.string_to_argv(argument)
        as_json = take_json(words)
        try:
            table = subject_options.take_roots(words)
        except UsageError as error:
            raise gdb.GdbError(f"rcdbg: {error}") from error
        if not words:
            raise gdb.GdbError("rcdbg: rc walk wants an address: rc walk $sp")

        def ask(kernel: Kernel) -> Answer:
            root = subject_options.root(kernel, table, lambda t: _address(t, kernel))
            return walk_answer(kernel, _address(" ".join(words), kernel), root)

        answer(ask, as_json)


def _address(text: str, kernel: Kernel) -> int:
    """A number, a symbol, or an expression of gdb, as an unsigned address."""
    try:
        return int(text, 0) & ((1 << 64) - 1)
    except ValueError:
        pass
    try:
        return resolve(kernel.image, text)
    except UsageError as not_a_symbol:
        try:
            return int(gdb.parse_and_eval(text)) & ((1 << 64) - 1)
        except (gdb.error, TypeError, ValueError) as error:
            raise not_a_symbol from error


def take_json(words: list[str]) -> bool:
    """Whether --json is among the words, which then have it no more."""
    found = _JSON in words
    words[:] = [w for w in words if w != _JSON]
    return found


def _options(text: str, word: str | None, known: Iterable[str] = (_JSON,)) -> list[str]:
    typed = text.split(" ")[-1]
    # gdb counts a hyphen as the end of a word, and asks for what follows it only.
    return [o[len(typed) - len(word or "") :] for o in known if o.startswith(typed)]


def answer(ask: Callable[[Kernel], Answer], as_json: bool) -> None:
    """Print what `ask` says of the kernel at this stop."""
    try:
        found = ask(current_kernel())
    except RcdbgError as error:
        raise gdb.GdbError(f"rcdbg: {error}") from error
    if as_json:
        gdb.write(json.dumps(found.document, indent=2) + "\n")
        return
    width = int(gdb.parameter("width") or _terminal_width())
    color = bool(gdb.parameter("style enabled"))
    gdb.write(render_text(found.view, width=width, color=color))


def _terminal_width() -> int:
    """Columns, where gdb itself sets no limit. Not from $COLUMNS, which gdb makes up."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return _DEFAULT_WIDTH


@functools.cache
def register() -> None:
    """Define the commands; once is enough, however often the script is sourced."""
    gdb.events.stop.connect(_forget)
    gdb.events.cont.connect(_forget)
    gdb.events.exited.connect(_forget)
    gdb.events.new_objfile.connect(_forget)
    gdb.events.memory_changed.connect(_forget)
    gdb.events.register_changed.connect(_forget)
    _Rc()
    for subject in SUBJECTS:
        _Show(subject)
    _Walk()
    Snapshot(current_kernel)
    # These modules use this one.
    from gdbscripts import profile_command, thread_command
    from gdbscripts.print_command import Print

    thread_command.register()
    profile_command.register()
    Print()
