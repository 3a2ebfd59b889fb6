"""A model object in, a rich renderable out: what gdb commands, the CLI and the TUI all print.

Each module has `view(part, ...)`; most take the same part of the last stop as `previous` and then
mark with `*` what is different now. Views adapt to the width that they are given, never cut
without saying so, and never tell anything by colour alone.
"""
