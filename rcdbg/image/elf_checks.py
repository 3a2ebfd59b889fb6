"""Whether a file can be a kernel's ELF at all, and one clear line about why not.

Source of the format: System V ABI, chapters 4 and 5.
"""

import contextlib
import os
import struct
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from rcdbg.errors import ImageError

MAX_FILE = 1 << 28
"""Bytes of a file that is read: the largest kernels of the kind have 34 MB, debug info included."""

_MAGIC = b"\x7fELF"
_HEADER_SIZE = 64
_EM_RISCV = 243
_ET_REL, _ET_EXEC, _ET_DYN, _ET_CORE = 1, 2, 3, 4
_TYPES = {_ET_REL: "a relocatable object file (.o)", _ET_CORE: "a core dump"}
_MACHINES = {
    3: "x86",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC64",
    40: "ARM",
    62: "x86-64",
    183: "AArch64",
    247: "BPF",
    258: "LoongArch",
}


def read_file(path: Path) -> bytes:
    """The bytes of a file that is there, regular and not empty; raises ImageError."""
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a directory: give the kernel's ELF file in it")
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} is not a regular file: give the kernel's ELF file")
        with path.open("rb") as file:
            # Looked at before it is read: a sparse file may claim any size.
            if os.fstat(file.fileno()).st_size > MAX_FILE:
                limit = f"{MAX_FILE >> 20} MiB"
                raise ImageError(f"{path} is larger than {limit}: no kernel that rcdbg can read")
            data = file.read(MAX_FILE)
    except FileNotFoundError:
        raise ImageError(
            f"{path} does not exist: build the kernel first, or give its ELF"
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"cannot read {path}: {why}") from None
    if not data:
        raise ImageError(f"{path} is empty: build the kernel again")
    return data


def check_header(path: Path, data: bytes) -> None:
    """Raise ImageError unless `data` starts like a RISC-V executable."""
    if not data.startswith(_MAGIC):
        if _MAGIC.startswith(data[:4]):
            raise ImageError(f"{path} is truncated: build the kernel again")
        hint = "give the ELF that it was made from" if path.suffix in (".bin", ".img") else ""
        if hint and (sibling := _elf_beside(path)) is not None:
            hint += f", such as {sibling}"
        if hint:
            raise ImageError(f"{path} is a raw memory image without symbols: {hint}")
        raise ImageError(f"{path} is not an ELF file: give the kernel as cargo built it")
    if len(data) < _HEADER_SIZE:
        raise ImageError(f"{path} is truncated: build the kernel again")
    elf_class, byte_order = data[4], data[5]
    order = ">" if byte_order == 2 else "<"
    elf_type, machine = struct.unpack_from(f"{order}HH", data, 16)
    if machine != _EM_RISCV:
        name = _MACHINES.get(machine, f"machine {machine}")
        raise ImageError(
            f"{path} is an ELF for {name}, not for RISC-V: build with --target"
            " riscv64imac-unknown-none-elf"
        )
    if elf_class != 2:
        raise ImageError(f"{path} is a 32-bit ELF: rcdbg debugs 64-bit RISC-V kernels (Sv39)")
    if byte_order != 1:
        raise ImageError(f"{path} is a big-endian ELF: rcdbg debugs little-endian RISC-V kernels")
    if elf_type not in (_ET_EXEC, _ET_DYN):
        what = _TYPES.get(elf_type, f"an ELF of type {elf_type}")
        raise ImageError(f"{path} is {what}, not an executable: give the linked kernel")


def _elf_beside(path: Path) -> Path | None:
    """An ELF in the same directory that may be the source of a raw image."""
    try:
        candidates = sorted(path.parent.iterdir())
    except OSError:
        return None  # It would only have been a hint.
    for candidate in candidates:
        with contextlib.suppress(OSError):  # another's, say: the next one may do
            if candidate.suffix in ("", ".elf") and candidate.is_file():
                with candidate.open("rb") as file:
                    if file.read(4) == _MAGIC:
                        return candidate
    return None


def check_tables(path: Path, elf: ELFFile, size: int) -> None:
    """Raise ImageError unless both header tables lie in the file.

    pyelftools trusts the counts: entries of size 0 would keep it busy for ever.
    """
    for offset, entry_size, expected, count in (
        (elf["e_shoff"], elf["e_shentsize"], 64, elf["e_shnum"]),
        (elf["e_phoff"], elf["e_phentsize"], 56, elf["e_phnum"]),
    ):
        if offset == 0:
            continue
        if count and entry_size != expected:
            raise ELFError(f"headers of {entry_size} bytes")
        if offset + entry_size * max(count, 1) > size:
            raise ImageError(f"{path} is truncated: build the kernel again")
    if elf["e_shoff"] and elf.num_sections() * 64 > size:
        raise ELFError(f"{elf.num_sections()} sections")
    if not elf["e_phoff"] or not elf["e_phnum"]:
        raise ELFError("no program headers")
