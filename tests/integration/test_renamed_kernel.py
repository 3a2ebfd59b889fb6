"""A kernel whose types, fields, functions and modules have other names decodes with a profile."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rcdbg.cli.main import main
from rcdbg.image.elf import load_image
from rcdbg.kernels.reading import load_overlay
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Boot, Run
from tests.support.variants import KERNEL, TARGET

OTHER_NAMES = {
    "context": ("Context", "TrapFrame"),
    "thread": ("Thread", "Task"),
    "processor": ("Processor", "Cpu"),
    "frame_allocator": ("FrameAllocator", "PageFrames"),
    "kernel_stack": ("KernelStack", "TrapStack"),
    "current_thread": ("current_thread", "running"),
    "sleeping_threads": ("sleeping_threads", "asleep"),
    "trap_entry": ("__interrupt", "trap_enter"),
    "trap_handler": ("handle_interrupt", "on_trap"),
    "trap_return": ("__restore", "trap_leave"),
    "thread_exit": ("kernel_thread_exit", "task_exit"),
}
"""The profile's keys: what our kernel calls it, and what this one does."""


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ELF; its module `processor` is called `cpu`, which no profile has to know."""
    work = tmp_path_factory.mktemp("renamed")
    source = work / "source"
    shutil.copytree(KERNEL, source, ignore=shutil.ignore_patterns("target"))
    folder = source / "os" / "src" / "process"
    (folder / "processor.rs").rename(folder / "cpu.rs")
    names = [*OTHER_NAMES.values(), ("processor", "cpu")]
    for path in [p for p in source.rglob("*") if p.suffix in (".rs", ".asm", ".ld")]:
        text = path.read_text()
        for old, new in names:
            text = re.sub(rf"\b{old}\b", new, text)
        path.write_text(text)
    subprocess.run(
        [source / "build.sh", "build"],
        check=True,
        env={**_environment(), "CARGO_TARGET_DIR": str(work / "target")},
        capture_output=True,
    )
    return work / "target" / TARGET / "debug" / "os"


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "kernel.toml"
    path.write_text("".join(f'{key} = "{new}"\n' for key, (_, new) in OTHER_NAMES.items()))
    return path


def test_with_the_profile_everything_decodes(renamed: Path, profile: Path) -> None:
    boot = Boot(renamed, "scenario=preempt interval=20000", overlay=load_overlay(profile))
    with Run(boot, load_image(renamed)) as run:
        for _ in range(3):
            run.until(trap("timer"))
        state = run.state()
        without = read_state(Kernel.now(run.image, run.target))
    assert state.trap.context is not None
    assert state.trap.cause == "supervisor timer interrupt"
    assert state.frames.problems == state.processor.problems == ()
    assert state.frames.managed is not None
    assert state.processor.current is not None
    assert len(state.processor.ready) == 2
    assert state.processor.idle is not None
    # Without it each part says what it did not find, and the others are there.
    assert without.processor.problems[0].why == "no static of the kernel holds a Processor"
    assert without.page_table == state.page_table
    assert without.hart == state.hart
    assert without.trap.context is None


def test_from_the_command_line(
    renamed: Path, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--kernel", str(renamed), "--scenario", "preempt"]
    assert main(["show", "threads", "--backtrace", "--profile", str(profile), *common]) == 0
    text = capsys.readouterr().out
    assert "task_exit" in text
    assert "running" in text
    assert main(["show", "threads", *common]) == 2
    assert "handle_interrupt" in capsys.readouterr().err
    bad = profile.with_name("bad.toml")
    bad.write_text('procesor = "Cpu"\n')
    assert main(["show", "threads", "--profile", str(bad), *common]) == 2
    assert "did you mean processor?" in capsys.readouterr().err
