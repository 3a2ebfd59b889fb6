"""All that the command line prints beside views: made safe, to the right stream."""

import errno
import json
import os
import sys
from typing import Any

from rcdbg.escape import safe_lines


def tell(text: str) -> None:
    """An answer, on standard output."""
    print(safe_lines(text))


def remark(text: str) -> None:
    """What belongs to no answer, on standard error: `rcdbg: ...`."""
    print(f"rcdbg: {safe_lines(text)}", file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """How far a long command is, on standard error."""
    print(safe_lines(text), file=sys.stderr, flush=True)


def tell_json(document: Any) -> None:
    """An answer for programs, on standard output; JSON escapes by itself."""
    print(json.dumps(document, indent=2))


def complete_streams() -> bool:
    """Open what is closed of the standard streams, on nothing; whether output was not.

    The next file would be opened in its place: what is printed, here or by a child, would go there.
    """
    with_output = sys.stdout is not None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    return with_output


def let_go_of_output() -> None:
    """What could not be printed is lost: Python must not complain of it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def why_not(error: OSError | MemoryError) -> str:
    """Why the host does not let us go on, in a line."""
    if isinstance(error, MemoryError):
        return "there is no memory left on this machine"
    why = error.strerror or str(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{why}: `ulimit -n` says how many there may be"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return f"cannot write {error.filename or 'what there is to say'}: {why}"
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return "the folder that you are in does not exist any more"
    return f"{error.filename}: {why}" if error.filename else why
