"""rcdbg inside gdb; `source gdbscripts/rcdbg.py` is the way in.

`commands` are those of `rc`, each a class of the base in `framework`; `machine` is what gdb is
connected to, `threads` shows parked threads to gdb, `values` serves its expressions and its prints.
"""
