"""The `rc` commands for gdb: `source gdbscripts/rcdbg.py`, in any gdb connected to QEMU.

gdb brings its own Python, which knows nothing of the project's packages. This file finds them:
beside itself in a checkout (with the packages in .venv), or where `pip install` put everything.
"""

import sys
from pathlib import Path


def _find_packages() -> None:
    root = Path(__file__).resolve().parent.parent
    folders = [root, *sorted((root / ".venv" / "lib").glob("python3*/site-packages"))]
    for folder in folders:
        # Behind gdb's own folders, so that we replace nothing that gdb relies on.
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))


_find_packages()

from gdbscripts.commands import registry  # noqa: E402  # the path had to be known first
from gdbscripts.machine import disassembly  # noqa: E402

registry.register()
disassembly.register()
