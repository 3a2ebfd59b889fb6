"""Words of a command that are not on a program's command line: typed into gdb, into a panel."""

import argparse
from typing import NoReturn

from rcdbg.errors import UsageError


class Words(argparse.ArgumentParser):
    """Raises UsageError in place of ending the program."""

    def error(self, message: str) -> NoReturn:
        """Complain; raises UsageError."""
        raise UsageError(f"{self.prog}: {message}")
