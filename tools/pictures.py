"""Make the pictures of the README and the docs, from the running program.

Each is an SVG that the TUI itself exports while it debugs the sample kernel.
"""
