"""QEMU's command line ("QEMU manual, Invocation")."""

from pathlib import Path

from rcdbg.machine.qemu.config import LogConfig, QemuConfig
from rcdbg.machine.qemu.own_line import OwnLine
from rcdbg.machine.qemu.ram import GuestRam
from rcdbg.machine.qemu.wires import SERIAL_NAME, Wires

# Names of their own, for a user's command line may have a `serial` or a `ram` too.
_RAM, _GDB = "rcdbg.ram", "rcdbg.gdb"


def command_line(
    config: QemuConfig, program: str, ram: GuestRam, wires: Wires, image: Path, *, paused: bool
) -> list[str]:
    """The words of it: `image` is booted; `paused` holds the guest before its first instruction."""
    own = config.own
    machine = "virt" if own is None else own.machine
    serial = f"chardev:{SERIAL_NAME}"
    return [
        program,
        *("-machine", f"{machine},memory-backend={_RAM}"),
        "-object",
        f"memory-backend-file,id={_RAM},size={ram.size},mem-path=/proc/self/fd/{ram.fd},share=on",
        *("-m", f"{ram.size >> 10}K", "-cpu", config.cpu, "-smp", str(config.harts)),
        *("-nodefaults", "-display", "none"),
        *("-chardev", wires.serial.device, "-serial", serial),
        *("-chardev", f"socket,id={_GDB},fd={wires.gdb},server=on,wait=off"),
        *("-gdb", f"chardev:{_GDB}"),
        *(word for number, fd in enumerate(wires.monitors) for word in _monitor(number, fd)),
        *("-bios", config.bios, *_boot(own, image)),
        *(("-append", config.append) if config.append else ()),
        *(("-S",) if paused else ()),
        *(("-icount", config.icount) if config.icount else ()),
        *(() if own is None else own.words),
        *config.extra,
        *(_log(config.log, *wires.log.given) if config.log is not None else ()),
    ]


def _boot(own: OwnLine | None, image: Path) -> tuple[str, ...]:
    if own is None or own.loader is None:
        return ("-kernel", str(image))
    return ("-device", f"loader,file={str(image).replace(',', ',,')},{own.loader}")


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
