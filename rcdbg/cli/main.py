"""Where `rcdbg` starts: Ctrl-C is one line, also while the rest is still being loaded."""

import sys
from collections.abc import Sequence

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rcdbg`; returns the exit status: 0, 2 for what the user can mend, or gdb's own."""
    try:
        from rcdbg.cli.front import run

        return run(argv)
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("rcdbg: interrupted\n")
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
