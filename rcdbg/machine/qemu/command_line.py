"""QEMU's command line ("QEMU manual, Invocation")."""

from pathlib import Path

from rcdbg.machine.qemu.config import LogConfig, QemuConfig
from rcdbg.machine.qemu.ram import GuestRam
from rcdbg.machine.qemu.wires import SERIAL_NAME, Wires

# Names of their own, for a user's command line may have a `serial` or a `ram` too.
_RAM, _GDB = "rcdbg.ram", "rcdbg.gdb"


def command_line(
    config: QemuConfig, program: str, ram: GuestRam, wires: Wires, image: Path, *, paused: bool
) -> list[str]:
    """The words of it: `image` is booted; `paused` holds the guest before its first instruction."""
    own = config.own
    machine = f"{config.machine}," if config.machine else ""
    serial = f"chardev:{SERIAL_NAME}"
    return [
        program,
        *("-machine", f"{machine}memory-backend={_RAM}"),
        "-object",
        f"memory-backend-file,id={_RAM},size={ram.size},mem-path=/proc/self/fd/{ram.fd},share=on",
        *("-m", f"{ram.size >> 10}K"),
        *(("-cpu", config.cpu) if config.cpu else ()),
        *(("-smp", config.smp) if config.smp else ()),
        *("-nodefaults", "-display", "none"),
        *("-chardev", wires.serial.device, "-serial", serial),
        *("-chardev", f"socket,id={_GDB},fd={wires.gdb},server=on,wait=off"),
        *("-gdb", f"chardev:{_GDB}"),
        *(word for number, fd in enumerate(wires.monitors) for word in _monitor(number, fd)),
        *_boot(config, image),
        *(("-append", config.append) if config.append else ()),
        *(("-S",) if paused else ()),
        *(() if own is None else own.words),
        # After a user's own: of two, QEMU takes the later.
        *(("-icount", config.icount) if config.icount else ()),
        *config.extra,
        *(_log(config.log, *wires.log.given) if config.log is not None else ()),
    ]


def _boot(config: QemuConfig, image: Path) -> tuple[str, ...]:
    own = config.own
    if own is not None and own.is_firmware:
        return ("-bios", str(image))
    bios = ("-bios", config.bios)
    if own is None or own.loader is None:
        return (*bios, "-kernel", str(image))
    file = f"file={str(image).replace(',', ',,')}"
    return (*bios, "-device", ",".join(filter(None, ("loader", file, own.loader))))


def _monitor(number: int, listener: int) -> tuple[str, ...]:
    name = f"rcdbg.qmp{number}"
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
