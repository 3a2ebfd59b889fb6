"""QEMU: its command line, its life, its monitor, its log."""
