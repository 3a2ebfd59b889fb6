"""Every instruction of a kernel, against llvm-objdump."""

import re
import subprocess

import pytest

from rcdbg.image.elf import Image
from rcdbg.riscv.instructions.decode import decode
from tests.support.in_gdb import InGdb
from tests.support.places import vector
from tests.support.tools import tool

_LINE = re.compile(r"^\s*([0-9a-f]+):\s+((?:[0-9a-f]{2} )+)\s*\t(.*)$")
_EXTENSIONS = "--mattr=+m,+a,+f,+d,+c"


@pytest.mark.every_kernel
def test_all_instructions_are_in_objdumps_words(rcdbg_image: Image) -> None:
    text = subprocess.run(
        [tool("llvm-objdump"), "-d", _EXTENSIONS, "--section=.text", str(rcdbg_image.path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wrong, looked_at = [], 0
    for match in filter(None, map(_LINE.match, text.splitlines())):
        address, encoding = int(match[1], 16), int.from_bytes(bytes.fromhex(match[2]), "little")
        theirs = " ".join(re.sub(r"<.*", "", match[3]).split())
        theirs = theirs.replace("fence w, unknown", "pause")  # LLVM 14 does not know it yet
        ours = decode(encoding, address).text
        looked_at += 1
        if ours != theirs:
            wrong.append((hex(address), theirs, ours))
    assert looked_at > 10_000
    assert wrong == []


def test_gdb_shows_the_csr_instructions_of_a_traps_entry(in_gdb: InGdb) -> None:
    """gdb alone has only their numbers, since no ELF claims the extension that they are of."""
    text = in_gdb(f"x/4i {vector(in_gdb.run.image):#x}")
    assert "csrrw\tsp,sscratch,sp" in text
    assert ".insn" not in text
