"""Inlined calls at any address of the kernel, against llvm-symbolizer."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from rcdbg.image.elf import Image
from tests.support.names import last_part
from tests.support.tools import tool

PROGRAM = "llvm-symbolizer"
ADDRESSES = 4000

pytestmark = pytest.mark.every_kernel


def test_inlined_calls_are_those_that_llvm_finds(rcdbg_image: Image) -> None:
    source = random.Random(3)
    pieces = [piece for f in rcdbg_image.functions for piece in f.ranges]
    starts = [source.choice(pieces) for _ in range(ADDRESSES)]
    addresses = [start + 2 * source.randrange((size + 1) // 2) for start, size in starts]
    done = subprocess.run(
        [tool(PROGRAM), f"--obj={Path(rcdbg_image.path)}", "--inlines", "--functions=short",
         "--output-style=JSON", *map(hex, addresses)],
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    theirs = [answer["Symbol"] for answer in json.loads(done.stdout)]
    assert len(theirs) == ADDRESSES
    deepest = 0
    for address, symbols in zip(addresses, theirs, strict=True):
        ours = rcdbg_image.functions.inlined_at(address)
        assert len(ours) == len(symbols) - 1, hex(address)
        deepest = max(deepest, len(ours))
        for call, inner, outer in zip(ours, symbols, symbols[1:], strict=False):
            assert last_part(call.path) == last_part(inner["FunctionName"]), hex(address)
            assert (call.file or "", call.line or 0) == (outer["FileName"], outer["Line"])
    assert deepest >= 3
