"""QEMU's command line ("QEMU manual, Invocation")."""

from rcdbg.machine.qemu.config import LogConfig, QemuConfig
from rcdbg.machine.qemu.ram import GuestRam
from rcdbg.machine.qemu.wires import Wires


def command_line(
    config: QemuConfig, program: str, ram: GuestRam, wires: Wires, *, paused: bool
) -> list[str]:
    """The words of it; `paused` holds the guest before its first instruction."""
    return [
        program,
        *("-machine", "virt,memory-backend=ram"),
        "-object",
        f"memory-backend-file,id=ram,size={ram.size},mem-path=/proc/self/fd/{ram.fd},share=on",
        *("-m", f"{ram.size >> 10}K", "-cpu", config.cpu, "-smp", str(config.harts)),
        *("-nodefaults", "-display", "none"),
        *("-chardev", wires.serial.device, "-serial", "chardev:serial"),
        *("-chardev", f"socket,id=gdb,fd={wires.gdb},server=on,wait=off", "-gdb", "chardev:gdb"),
        *(word for number, fd in enumerate(wires.monitors) for word in _monitor(number, fd)),
        *("-bios", config.bios, "-kernel", str(config.kernel)),
        *(("-append", config.append) if config.append else ()),
        *(("-S",) if paused else ()),
        *(("-icount", config.icount) if config.icount else ()),
        *config.extra,
        *(_log(config.log, *wires.log.given) if config.log is not None else ()),
    ]


def _monitor(number: int, listener: int) -> tuple[str, ...]:
    name = f"qmp{number}"
    socket_device = f"socket,id={name},fd={listener},server=on,wait=off"
    return ("-chardev", socket_device, "-mon", f"chardev={name},mode=control")


def _log(config: LogConfig, descriptor: int) -> list[str]:
    """The options for the log (`-d`, `-dfilter`, `-D`)."""
    ranges = ",".join(f"{place:#x}+1" for place in config.places)
    return [
        *("-d", ",".join(config.items)),
        # Without a file for it, it is written to stderr.
        *(() if config.holds else ("-D", f"/proc/self/fd/{descriptor}")),
        *(("-dfilter", ranges) if ranges else ()),
    ]
