"""The kernels of others: where they are built, how they are started, and stops along a run."""

import os
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rcdbg.image.elf import Image
from rcdbg.kernels.recognise import demand_handler, describe
from rcdbg.machine.qemu.own_line import parse
from rcdbg.trace.run import Boot, Run

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "tests" / "real" / "build.sh"
CRATE = "tg-rcore-tutorial"
_TARGET = "riscv64gc-unknown-none-elf"
_STOP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RealKernel:
    """A kernel as its authors build it; `words` is the QEMU command line that they start it by."""

    name: str
    elf: Path
    words: tuple[str, ...]

    def boot(self, deterministic: bool = True) -> Boot:
        """The machine of that command line."""
        own = parse(self.words)
        return Boot(
            self.elf, own.append, own.memory, own.program, deterministic=deterministic, own=own
        )

    @contextmanager
    def run(self, deterministic: bool = True) -> Iterator[Run]:
        """It, booted, and ended afterwards."""
        with Run(self.boot(deterministic)) as run:
            yield run


@lru_cache(maxsize=1)
def place() -> Path:
    """The folder that the kernels of tests/real/build.sh are built in."""
    done = subprocess.run(
        [BUILD, "where"], check=True, capture_output=True, text=True, env=dict(os.environ)
    )
    return Path(done.stdout.strip())


def tutorial(chapter: str) -> RealKernel:
    """A chapter of the tg-rcore-tutorial, with the command line of its own cargo runner."""
    folder = place() / chapter
    elf = folder / "target" / _TARGET / "debug" / f"{CRATE}-{chapter}"
    if not elf.is_file():
        raise FileNotFoundError(f"{elf}: make real-kernels")
    config = tomllib.loads((folder / ".cargo" / "config.toml").read_text())
    runner = config["target"][_TARGET]["runner"]
    return RealKernel(
        chapter, elf, (*(w.replace("file=", f"file={folder}/") for w in runner), str(elf))
    )


def arceos() -> RealKernel:
    """A kernel of ArceOS's modules, as tests/real/arceos.sh builds it."""
    done = subprocess.run(
        [BUILD.with_name("arceos.sh"), "where"],
        check=True,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    elf = Path(done.stdout.strip()) / "arceos"
    if not elf.is_file():
        raise FileNotFoundError(f"{elf}: make real-kernels")
    line = ("qemu-system-riscv64", "-machine", "virt", "-nographic", "-bios", "default", "-kernel")
    return RealKernel("arceos", elf, (*line, str(elf)))


def programs(chapter: str) -> list[str]:
    """The user programs of a chapter of the tutorial, in their order."""
    cases = tomllib.loads((place() / "user" / "cases.toml").read_text())
    names: list[str] = cases[chapter]["cases"]
    return names


Seen = Callable[[tuple[int, ...]], None]
"""Told of a call: the values of a0 to a7."""


def calls(image: Image, wanted: Mapping[str, Seen]) -> dict[int, Seen]:
    """Where the functions begin whose path ends in, or contains, such text; each must be one."""
    found: dict[int, Seen] = {}
    for text, seen in wanted.items():
        places = {s.address for s in image.symbols if s.path.endswith(text)}
        if len(places) != 1:
            raise LookupError(f"{len(places)} functions end in {text}")
        found[places.pop()] = seen
    return found


def traps(run: Run, watched: Mapping[int, Seen]) -> Iterator[int]:
    """At each trap from here on, up to the end, how many came; `watched` calls are told between."""
    place = demand_handler(run.image, describe(run.image).trap)
    handled = int(place[0], 16) if place[0].startswith("0x") else place[1]
    numbers = [run.stub.insert_breakpoint(a) for a in {*watched, handled}]
    came = 0
    try:
        while True:
            run.stub.resume()
            if run.stub.wait_stop(_STOP_SECONDS).reason == "exited":
                numbers.clear()
                return
            now = run.stub.registers()
            if now.pc in watched:
                watched[now.pc](tuple(now.x[10:18]))
            else:
                came += 1
                yield came
    finally:
        for number in numbers:
            run.stub.remove_breakpoint(number)
