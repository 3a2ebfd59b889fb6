"""All that the command line prints beside views: made safe, to the right stream."""

import json
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
