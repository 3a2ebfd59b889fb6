"""rcdbg: the debugger that understands an rCore-style RISC-V kernel."""

__version__ = "0.1.0"
