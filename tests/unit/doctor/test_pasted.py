"""A pasted console explained: what is right is the kernel's own symbols and lines."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rcdbg.cli.main import main
from rcdbg.doctor.pasted import clues_in
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.kept import kernel_in

ROOT = Path(__file__).resolve().parents[3]
IMAGE = kernel_in(ROOT / "tests" / "snapshots" / "three-threads-preempted.snap", NOTHING).image


def test_registers_and_causes() -> None:
    handler = IMAGE.symbols.address_of("handle_interrupt") or 0
    text = f"boot\nscause 0xf, sepc={handler:#x} stval = 0x10\n" * 2
    cause, sepc, stval = clues_in(text, IMAGE)
    assert (cause.said, cause.meaning) == ("scause 0xf", "store page fault")
    assert sepc.place is not None
    assert (sepc.place.symbol, sepc.place.offset) == ("handle_interrupt", 0)
    assert "null" in stval.meaning


def test_the_line_of_a_panic_of_a_kernel_built_elsewhere() -> None:
    handler = IMAGE.symbols.address_of("handle_interrupt") or 0
    line = IMAGE.lines.lookup(handler)
    assert line is not None
    file = "/".join(line.file.split("/")[-3:])
    (clue,) = clues_in(f"[kernel] Panicked at {file}:{line.line} no way", IMAGE)
    assert clue.place is not None
    assert clue.place.symbol == "handle_interrupt"
    (clue,) = clues_in("panic: kerneltrap", IMAGE)
    assert clue.place is None


def test_any_text_is_survived() -> None:
    assert clues_in("\0\x1b[31m panicked at :0 0x scause= sepc=0x" + "f" * 400, IMAGE)
    assert len(clues_in("".join(f"sepc 0x{n:x}\n" for n in range(999)), IMAGE)) == 64
    assert clues_in("", IMAGE) == ()


def test_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elf, log = tmp_path / "os", tmp_path / "console.log"
    elf.write_bytes(IMAGE.data)
    log.write_text("scause 0xd\n")
    with log.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert main(["explain", "--kernel", str(elf)]) == 0
    assert capsys.readouterr().out == "scause 0xd: load page fault\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=io.StringIO().fileno))
    assert main(["explain"]) == 0
    assert "RC0101" in capsys.readouterr().out
