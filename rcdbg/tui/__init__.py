"""`rcdbg` without arguments: the debugger as a full-screen program, textual around the views."""
