"""Call frame information against two other readers of it."""

import io
import re
import subprocess

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from rcdbg.image.dwarf.cfi_program import How
from rcdbg.image.elf import Image

pytestmark = pytest.mark.every_kernel


def test_call_frame_information_against_pyelftools_and_readelf(rcdbg_image: Image) -> None:
    """Every row of every entry, and the address ranges as readelf prints them."""
    elf = ELFFile(io.BytesIO(rcdbg_image.path.read_bytes()))
    dwarf = elf.get_dwarf_info()
    frames = rcdbg_image.call_frames
    rows = 0
    ranges = []
    for entry in dwarf.CFI_entries():
        if not isinstance(entry, FDE) or not entry.header["address_range"]:
            continue
        start = entry.header["initial_location"]
        if not start:
            continue
        ranges.append((start, entry.header["address_range"]))
        table = entry.get_decoded().table
        for row, following in zip(table, [*table[1:], None], strict=True):
            end = following["pc"] if following else start + entry.header["address_range"]
            for pc in {row["pc"], end - 1}:
                if row["pc"] == end:
                    continue
                mine = frames.at(pc)
                assert mine is not None
                assert (mine.cfa_register, mine.cfa_offset) == (row["cfa"].reg, row["cfa"].offset)
                theirs = {r: rule for r, rule in row.items() if isinstance(r, int)}
                assert set(mine.rules) >= set(theirs)
                for register, rule in mine.rules.items():
                    if rule.how is How.AT_CFA:
                        assert theirs[register].type == "OFFSET"
                        assert theirs[register].arg == rule.number
                rows += 1
    assert sorted(frames.ranges()) == sorted(ranges)
    assert rows > 500
    said = subprocess.run(
        ["readelf", "--debug-dump=frames", rcdbg_image.path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    found = [
        (int(a, 16), int(b, 16) - int(a, 16))
        for a, b in re.findall(r" FDE cie=\w+ pc=(\w+)\.\.(\w+)", said)
    ]
    assert sorted((a, n) for a, n in found if a and n) == sorted(ranges)
