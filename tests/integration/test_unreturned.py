"""The call stack of a panic, through functions that have not saved who called them.

What is right is known by the source of tests/zoo/main.rs: which function calls which, on what line.
"""

from pathlib import Path

import pytest

from rcdbg.image.elf import load_image
from rcdbg.model.threads.inlined import with_inlined
from rcdbg.model.threads.unwind import backtrace_now
from rcdbg.trace.conditions import reached
from rcdbg.trace.run import Boot, Run
from tests.support.zoo import SOURCE, build_zoo

LINES = (SOURCE / "main.rs").read_text().splitlines()


def line_of(text: str) -> int:
    (number,) = [n for n, line in enumerate(LINES, 1) if text in line]
    return number


@pytest.mark.parametrize("options", [(), ("--release",)], ids=["debug", "release"])
def test_a_panic_leads_to_the_line_that_gave_up(tmp_path: Path, options: tuple[str, ...]) -> None:
    elf = Path(build_zoo(tmp_path, *options))
    image = load_image(elf)
    with Run(Boot(elf), image) as run:
        run.until(reached("rust_begin_unwind"))
        found = with_inlined(run.kernel(), backtrace_now(run.kernel()))
    ours = [frame for frame in found.frames if (frame.pc.file or "").endswith("main.rs")]
    assert [frame.pc.line for frame in ours[1:]] == [  # behind the panic handler itself
        line_of('nothing.expect("nothing there")'),
        line_of("give_up(what) * 2"),
        line_of("black_box(try_it("),
    ]
    assert found.frames[-1].pc.symbol == "_start"
    assert found.problems == ()
