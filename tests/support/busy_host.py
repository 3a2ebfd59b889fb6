"""A host that has something else to do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

BUSY = [sys.executable, "-c", "while True: pass"]


@contextmanager
def busy_host() -> Iterator[None]:
    """All cores have something else to do."""
    with ExitStack() as undo:
        for _ in range(os.cpu_count() or 1):
            process = subprocess.Popen(BUSY)
            undo.callback(process.wait)
            undo.callback(process.kill)
        yield
