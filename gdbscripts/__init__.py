"""rcdbg inside gdb; `source gdbscripts/rcdbg.py` is the way in."""
