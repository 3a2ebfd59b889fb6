"""Calls of the firmware: RISC-V Supervisor Binary Interface specification, version 2.0."""

LEGACY_SET_TIMER, LEGACY_PUTCHAR, LEGACY_GETCHAR = 0, 1, 2
TIME, DEBUG_CONSOLE = 0x5449_4D45, 0x4442_434E
DBCN_WRITE, DBCN_READ, DBCN_WRITE_BYTE = 0, 1, 2

LAST_LEGACY = 15
"""Extensions up to this number have no functions: a6 means nothing (chapter 5)."""

_LEGACY = (
    "set_timer",
    "console_putchar",
    "console_getchar",
    "clear_ipi",
    "send_ipi",
    "remote_fence_i",
    "remote_sfence_vma",
    "remote_sfence_vma_asid",
    "shutdown",
)
_EXTENSIONS: dict[int, tuple[str, tuple[str, ...]]] = {
    0x10: (
        "base",
        (
            "get_spec_version",
            "get_impl_id",
            "get_impl_version",
            "probe_extension",
            "get_mvendorid",
            "get_marchid",
            "get_mimpid",
        ),
    ),
    TIME: ("time", ("set_timer",)),
    0x73_5049: ("ipi", ("send_ipi",)),
    0x5246_4E43: ("rfence", ("remote_fence_i", "remote_sfence_vma", "remote_sfence_vma_asid")),
    0x48_534D: ("hsm", ("hart_start", "hart_stop", "hart_get_status", "hart_suspend")),
    0x5352_5354: ("srst", ("system_reset",)),
    0x50_4D55: ("pmu", ()),
    DEBUG_CONSOLE: ("dbcn", ("console_write", "console_read", "console_write_byte")),
    0x5355_5350: ("susp", ("system_suspend",)),
    0x4350_5043: ("cppc", ()),
}


def name(extension: int, function: int) -> str | None:
    """The name of a call by the numbers in a7 and a6, or None if the specification has none."""
    if extension < len(_LEGACY):
        return _LEGACY[extension]
    if extension not in _EXTENSIONS:
        return None
    prefix, functions = _EXTENSIONS[extension]
    return f"{prefix}.{functions[function] if function < len(functions) else function}"
