"""What `make` would do, without doing it."""

import shutil
import subprocess
from pathlib import Path

_SECONDS = 20.0


def would_run(target: str, folder: Path) -> str | None:
    """What `make -n TARGET` prints in that folder; None where it has no such target, or no make.

    Make itself may run what its file asks it to while it is read (`$(shell ...)`): this is for the
    user's own folder only.
    """
    make = shutil.which("make")
    if make is None:
        return None
    try:
        done = subprocess.run(
            [make, "--no-print-directory", "-n", target],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
