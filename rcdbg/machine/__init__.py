"""The only place that starts processes: QEMU, its monitor, its gdb stub, and gdb."""
